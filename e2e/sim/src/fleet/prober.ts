// Active probes of one simulated proxy, by the real plan: a cheap one each second and canaries. Mirrors the shell's prober
// and what it tells the own judge.

import { type ProbeNeed, ProbePlan } from "@meridian/data-core/probe";
import type { Random } from "@meridian/proto/base";
import type { RegionView } from "@meridian/proto/snapshot";
import type { SimNode } from "../net/node.ts";
import type { Backend } from "./backend.ts";
import type { ProbeCounts } from "./report-maker.ts";

export type ProberPorts = {
  readonly node: SimNode;
  readonly random: Random;
  readonly backend: (name: string) => Backend | undefined;
  /** undefined: this proxy is not to probe it. */
  readonly need: (name: string) => ProbeNeed | undefined;
};

const tickMs = 250;
const aliveLimitMs = 2_000;
const canaryLimitMs = 10_000;
const roundTripMs = 1;
const canaryJob = { blocks: [], inputTokens: 12, outputTokens: 4 };

export class Prober {
  readonly #ports: ProberPorts;
  readonly #plan: ProbePlan;
  readonly #counts = new Map<string, ProbeCounts>();

  constructor(ports: ProberPorts) {
    this.#ports = ports;
    this.#plan = new ProbePlan(ports.random);
    ports.node.every(tickMs, () => this.#tick());
  }

  arrange(view: RegionView): void {
    const targets = view.backends.map(({ name, probe }) => ({
      name,
      hasCanary: probe.canary !== undefined,
      canaryTokens: 16,
    }));
    this.#plan.arrange(targets, this.#ports.node.now());
  }

  counts(name: string): ProbeCounts | undefined {
    return this.#counts.get(name);
  }

  #tick(): void {
    const { backend, need, node } = this.#ports;
    for (const due of this.#plan.due((name) => need(name) ?? "usual", node.now())) {
      const found = backend(due.target);
      if (found === undefined || need(due.target) === undefined) {
        this.#plan.ended(due);
        continue;
      }
      const counts = this.#countsOf(due.target);
      const ended = (): void => this.#plan.ended(due);
      if (due.kind === "alive") this.#alive(found, counts, ended);
      else this.#canary(found, counts, ended);
    }
  }

  #alive(backend: Backend, counts: ProbeCounts, ended: () => void): void {
    const { node } = this.#ports;
    const answer = backend.answersProbe();
    node.after(answer === undefined ? aliveLimitMs : roundTripMs, () => {
      counts.probes += 1;
      if (answer !== true) counts.probesFailed += 1;
      ended();
    });
  }

  #canary(backend: Backend, counts: ProbeCounts, ended: () => void): void {
    const { node } = this.#ports;
    const { faults, random, server } = backend;
    const fail = (afterMs: number): void => {
      node.after(afterMs, () => {
        counts.probes += 1;
        counts.probesFailed += 1;
        ended();
      });
    };
    if (backend.answersProbe() !== true) {
      fail(faults.isRefusing && backend.isHostUp ? roundTripMs : canaryLimitMs);
      return;
    }
    const isSpoilt = !faults.liesToProbes;
    if (isSpoilt && random.next() < faults.errorShare) {
      fail(roundTripMs);
      return;
    }
    const isWrong =
      random.next() < faults.wrongShare || (isSpoilt && random.next() < faults.emptyShare);
    let isDone = false;
    backend.canaries += 1;
    const limit = node.after(canaryLimitMs, () => {
      isDone = true;
      fail(0);
    });
    const sequence = server.submit(canaryJob, {
      onFirstToken: () => undefined,
      onEnd: (_, ending) => {
        backend.canaries -= 1;
        if (isDone) return;
        isDone = true;
        node.cancel(limit);
        if (ending === "cut") {
          fail(roundTripMs);
          return;
        }
        counts.canaries += 1;
        if (isWrong) counts.canariesWrong += 1;
        ended();
      },
    });
    if (sequence !== undefined) return;
    // A server without room is asked again later: that it is full says nothing about its answers.
    backend.canaries -= 1;
    isDone = true;
    node.cancel(limit);
    ended();
  }

  #countsOf(name: string): ProbeCounts {
    const held = this.#counts.get(name);
    if (held !== undefined) return held;
    const counts = { probes: 0, probesFailed: 0, canaries: 0, canariesWrong: 0 };
    this.#counts.set(name, counts);
    return counts;
  }
}
