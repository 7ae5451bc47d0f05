// A region's proxy: the real engine, what it reads of its model servers and of the ways to other regions, and the requests
// that it holds.

import type { Attempts } from "@meridian/data-core/attempt";
import {
  type CallKnowledge,
  createCallBuffers,
  createEngine,
  type Engine,
  openCallBuffers,
} from "@meridian/data-core/engine";
import { ownLoad } from "@meridian/data-core/load";
import type { Instant } from "@meridian/proto/base";
import type { Arena, Ask, Replica } from "../../arena/arena.ts";
import { Exchange, type Sender } from "./exchange.ts";
import { peerOrigin, regionName } from "./fleet-policy.ts";

/** How often metrics of a busy model server are read, and other regions are asked how they stand, in ms. */
const readEveryMs = 500;
const askEveryMs = 2_000;

/** Targets of one region's proxy: its replicas and its peers. */
const slotsMax = 64;

export class RegionProxy {
  readonly arena: Arena;
  readonly region: number;
  readonly name: string;
  readonly engine: Engine;
  readonly #calls: CallKnowledge;
  readonly #replicas: ReadonlyMap<string, Replica>;
  readonly #exchanges = new WeakMap<Attempts, Exchange>();
  #peers: ReadonlyMap<string, RegionProxy> = new Map();
  #isGiving = false;

  constructor(arena: Arena, region: number) {
    this.arena = arena;
    this.region = region;
    this.name = regionName(region);
    const load = ownLoad(slotsMax);
    this.#calls = openCallBuffers(createCallBuffers(slotsMax));
    this.engine = createEngine({
      region: this.name,
      random: arena.random.fork(this.name),
      load,
      calls: this.#calls,
    });
    this.#replicas = new Map((arena.local[region] ?? []).map((each) => [each.server.name, each]));
  }

  /** Once every proxy has its policy. */
  begin(all: readonly RegionProxy[]): void {
    const others = all.filter((each) => each !== this);
    this.#peers = new Map(others.map((each) => [peerOrigin(each.region), each]));
    const { timeline } = this.arena;
    const offset = this.region / all.length;
    timeline.every(readEveryMs, () => this.#readEngines(), offset * readEveryMs);
    for (const other of others) {
      timeline.every(askEveryMs, () => this.#askPeer(other), offset * askEveryMs);
    }
  }

  get now(): Instant {
    return this.arena.timeline.now;
  }

  /** A request of an own client, or of another region's proxy. */
  take(ask: Ask, sender: Sender | undefined): void {
    new Exchange(this, ask, sender).start();
  }

  replica(name: string): Replica {
    const found = this.#replicas.get(name);
    if (found === undefined) throw new Error(`there is no replica ${name} here`);
    return found;
  }

  peer(origin: string): RegionProxy {
    const found = this.#peers.get(origin);
    if (found === undefined) throw new Error(`there is no peer at ${origin}`);
    return found;
  }

  know(attempts: Attempts, exchange: Exchange): void {
    this.#exchanges.set(attempts, exchange);
  }

  /** Tells held requests of room, as long as somebody takes it. */
  giveRoom(): void {
    if (this.#isGiving) return;
    this.#isGiving = true;
    for (let held = this.engine.takeRoom(); held !== undefined; held = this.engine.takeRoom()) {
      this.#exchanges.get(held)?.step({ kind: "room" });
    }
    this.#isGiving = false;
  }

  #readEngines(): void {
    for (const { kind, name, slot } of this.engine.serving()?.upstreams ?? []) {
      if (kind !== "backend") continue;
      const { queued, running, kvUse } = this.replica(name).server.metrics();
      this.#calls.engines.note(slot, { waiting: queued, running, kvUse }, this.now);
    }
  }

  /** How it stands, by a synthetic request: the answer is as old as its way here. */
  #askPeer(other: RegionProxy): void {
    const { timeline } = this.arena;
    const wayMs = this.arena.oneWayMs(this.region, other.region);
    timeline.after(wayMs, () => {
      const outlooks = other.engine.outlooks(other.now);
      timeline.after(wayMs, () => {
        const { paths } = this.#calls;
        paths.noteRtt(other.name, 2 * wayMs, this.now);
        for (const each of outlooks) paths.notePool(other.name, each.model, each, this.now);
      });
    });
  }
}
