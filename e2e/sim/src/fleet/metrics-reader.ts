// Reads the queues of a region's model servers for one simulated proxy, by the real plan. Mirrors the shell's reader.

import type { EngineLoads } from "@meridian/data-core/balance";
import { ReadingPlan } from "@meridian/data-core/probe";
import type { Random } from "@meridian/proto/base";
import type { SimNode } from "../net/node.ts";
import type { Backend } from "./backend.ts";

export type MetricsReaderPorts = {
  readonly node: SimNode;
  readonly random: Random;
  readonly engines: EngineLoads;
  readonly backend: (name: string) => Backend | undefined;
  /** Place of a backend's numbers; undefined: the engine does not know it. */
  readonly slot: (name: string) => number | undefined;
  readonly inFlight: (name: string) => number;
};

/** Half of the shortest time between two readings: the shell looks more often, to the same effect. */
const tickMs = 250;
/** Asking, and parsing a page of metrics. */
const answerMs = 3;

export class MetricsReader {
  readonly #ports: MetricsReaderPorts;
  readonly #plan: ReadingPlan;

  constructor(ports: MetricsReaderPorts) {
    this.#ports = ports;
    this.#plan = new ReadingPlan(ports.random);
    ports.node.every(tickMs, () => this.#tick());
  }

  arrange(names: readonly string[]): void {
    this.#plan.arrange(names);
  }

  #tick(): void {
    const { node, inFlight } = this.#ports;
    for (const name of this.#plan.due(inFlight, node.now())) this.#read(name);
  }

  #read(name: string): void {
    const { backend, engines, node, slot } = this.#ports;
    const found = backend(name);
    const metrics = found?.answersProbe() === true ? found.server.metrics() : undefined;
    node.after(answerMs, () => {
      const now = node.now();
      const at = slot(name);
      if (metrics === undefined || at === undefined) {
        this.#plan.ended(name, { kind: "failed" }, now);
        return;
      }
      const waiting = found?.faults.hidesQueue === true ? 0 : metrics.queued;
      const { running, kvUse } = metrics;
      engines.note(at, { waiting, running, kvUse }, now);
      this.#plan.ended(name, { kind: "read", requests: waiting + running }, now);
    });
  }
}
