// A process of the simulated fleet on a host of its own: its clocks, its timers, and what ends with it.

import type { Instant, WallTime } from "@meridian/proto/base";
import type { Timeline, Timer } from "../kernel/timeline.ts";

/** How a node's clocks differ from the world's. */
export type ClockSkew = {
  /** What its monotonic clock showed when the world began; origins mean nothing, so every node has another one. */
  readonly originMs: number;
  /** 1.0001 gains 100 µs in a second. */
  readonly rate: number;
  /** What its wall clock is ahead. */
  readonly wallMs: number;
};

/** The world's wall clock at its beginning: 2026-01-01. */
export const epochMs: WallTime = 1_767_225_600_000;

/** Something that ends when its node does; `byHost`: without a word to anybody. */
type Dependent = (byHost: boolean) => void;

export class SimNode {
  readonly name: string;
  readonly region: string;
  readonly skew: ClockSkew;
  readonly #timeline: Timeline;
  #isUp = true;
  #isHostUp = true;
  /** Counts starts: what belonged to a former life must not touch the present one. */
  #life = 1;
  readonly #dependents = new Set<Dependent>();

  constructor(
    timeline: Timeline,
    named: { readonly name: string; readonly region: string },
    skew: ClockSkew,
  ) {
    this.#timeline = timeline;
    this.name = named.name;
    this.region = named.region;
    this.skew = skew;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Its host says for a dead process that nobody listens. */
  get isHostUp(): boolean {
    return this.#isHostUp;
  }

  get life(): number {
    return this.#life;
  }

  now(): Instant {
    return this.skew.originMs + this.#timeline.now * this.skew.rate;
  }

  wall(): WallTime {
    return epochMs + this.#timeline.now + this.skew.wallMs;
  }

  /** Runs at an instant of this node's clock, if it is still the same life then. */
  at(at: Instant, run: () => void): Timer {
    const life = this.#life;
    const worldAt = (at - this.skew.originMs) / this.skew.rate;
    return this.#timeline.at(worldAt, () => {
      if (this.#isUp && this.#life === life) run();
    });
  }

  after(ms: number, run: () => void): Timer {
    return this.at(this.now() + ms, run);
  }

  cancel(timer: Timer | undefined): void {
    this.#timeline.cancel(timer);
  }

  /** Ends by itself with this life of the node. */
  every(ms: number, run: () => void, firstAfterMs: number = ms): void {
    const turn = (): void => {
      this.after(ms, turn);
      run();
    };
    this.after(firstAfterMs, turn);
  }

  /** Called once, when this life ends. */
  onDeath(dependent: Dependent): () => void {
    this.#dependents.add(dependent);
    return () => this.#dependents.delete(dependent);
  }

  /** `byHost`: power or network is gone at once, nobody is told; else the host closes what the process had open. */
  crash(byHost = false): void {
    if (byHost) this.#isHostUp = false;
    if (!this.#isUp) return;
    this.#isUp = false;
    const dependents = [...this.#dependents];
    this.#dependents.clear();
    for (const each of dependents) each(byHost);
  }

  /** A new life; who owns the node starts what runs on it. */
  revive(): void {
    this.#isHostUp = true;
    if (this.#isUp) return;
    this.#isUp = true;
    this.#life += 1;
  }
}
