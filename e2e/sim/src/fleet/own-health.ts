// A proxy's own judge, for the time without a control plane. Mirrors the shell's own-health.

import type { Engine, EngineReport } from "@meridian/data-core/engine";
import { judgeTickMs, OwnJudge } from "@meridian/data-core/health";
import type { ProbeNeed } from "@meridian/data-core/probe";
import type { Random } from "@meridian/proto/base";
import type { HealthCounts } from "@meridian/proto/health";
import type { RegionView } from "@meridian/proto/snapshot";
import type { SimNode } from "../net/node.ts";
import type { Backend } from "./backend.ts";
import { Prober } from "./prober.ts";
import { countsSince, type ProbeCounts, type Reading, readingOf } from "./report-maker.ts";

export type OwnHealthPorts = {
  readonly id: string;
  readonly node: SimNode;
  readonly random: Random;
  readonly engine: Engine;
  readonly backend: (name: string) => Backend | undefined;
};

/** More than one request in so many seconds makes a backend busy. */
const busyPerSecond = 1;
const rateGain = 0.2;

export class OwnHealth {
  readonly #ports: OwnHealthPorts;
  readonly #judge = new OwnJudge();
  readonly #prober: Prober;
  #seen = new Map<string, Reading>();
  #rates = new Map<string, number>();
  #toArrange: RegionView | undefined;

  constructor(ports: OwnHealthPorts) {
    this.#ports = ports;
    const { node, random, backend } = ports;
    const need = (name: string) => this.#needOf(name);
    this.#prober = new Prober({ node, random: random.fork("probes"), backend, need });
    node.every(judgeTickMs, () => this.#tick());
  }

  arrange(view: RegionView): void {
    this.#toArrange = view;
    this.#prober.arrange(view);
  }

  probed(name: string): ProbeCounts | undefined {
    return this.#prober.counts(name);
  }

  #tick(): void {
    const { engine, node } = this.#ports;
    if (this.#toArrange !== undefined) this.#judge.arrange(this.#toArrange);
    this.#toArrange = undefined;
    const report = engine.report(node.now());
    const counts = this.#count(report);
    const heard = (name: string) => this.#seen.get(name)?.target.heard;
    const verdicts = this.#judge.tick(counts, heard, node.now());
    engine.apply({ kind: "verdicts", verdicts }, node.now());
  }

  #count(report: EngineReport): ReadonlyMap<string, HealthCounts> {
    const seen = new Map<string, Reading>();
    const counts = new Map<string, HealthCounts>();
    for (const target of report.backends) {
      const now = readingOf(target, this.probed(target.name));
      seen.set(target.name, now);
      const each = countsSince(this.#seen.get(target.name), now);
      counts.set(target.name, each);
      const rate = this.#rates.get(target.name) ?? 0;
      this.#rates.set(target.name, rate + rateGain * (each.requests - rate));
    }
    this.#seen = seen;
    return counts;
  }

  #needOf(name: string): ProbeNeed | undefined {
    const target = this.#seen.get(name)?.target;
    const isProving = target?.told?.isProving === true;
    const isMine =
      target !== undefined &&
      (target.probers.length === 0 ||
        target.probers.includes(this.#ports.id) ||
        (target.heard === undefined && isProving));
    if (!isMine) return undefined;
    if (isProving) return "proving";
    return (this.#rates.get(name) ?? 0) > busyPerSecond ? "busy" : "usual";
  }
}
