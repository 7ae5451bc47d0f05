// Sends what the engine counted, once a second, to whichever control plane is in use.

import type { EngineReport } from "@meridian/data-core/engine";
import { createReportLane, type ReportEvent } from "@meridian/data-core/sync";
import { assertNever, type Clock, type Random } from "@meridian/proto/base";
import type { Node, ReportFrame } from "@meridian/proto/gen/sync_pb";
import type { ControlStreams, Lane } from "./control-streams.ts";
import { createReportMaker, type ProbeReadings } from "./report-frame.ts";

export type ReporterOptions = {
  readonly node: Node;
  readonly clock: Clock;
  readonly random: Random;
  readonly probes: ProbeReadings;
  readonly report: () => { readonly engine: EngineReport; readonly draining: boolean };
};

const tickMs = 100;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #lane;
  readonly #maker;
  #streams: ControlStreams | undefined;
  #reports: Lane<ReportFrame> | undefined;
  #ticking: NodeJS.Timeout | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#lane = createReportLane(options.random);
    this.#maker = createReportMaker(options.node, options.probes, options.clock.now());
  }

  /** These streams' control plane answers. Harmless when it is told again. */
  ready(streams: ControlStreams): void {
    if (this.#streams === streams) return;
    this.#streams = streams;
    this.#ticking ??= setInterval(() => this.#step({ kind: "time" }), tickMs);
    this.#step({ kind: "ready" });
  }

  /** There is no control plane any more. */
  gone(): void {
    if (this.#streams === undefined) return;
    this.#step({ kind: "gone" });
    this.#streams = undefined;
    this.#reports = undefined;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  #step(event: ReportEvent): void {
    const command = this.#lane.step(event, this.#options.clock.now());
    switch (command.kind) {
      case "nothing":
        return;
      case "open":
        this.#reports = this.#streams?.openReports({
          acknowledged: (sequence) => this.#step({ kind: "acknowledged", sequence }),
          closed: () => this.#step({ kind: "closed" }),
        });
        return;
      case "close":
        this.#reports?.close();
        return;
      case "report": {
        const { engine, draining } = this.#options.report();
        const at = { draining, now: this.#options.clock.now() };
        this.#reports?.send(this.#maker.make(command.sequence, engine, at));
        return;
      }
      default:
        assertNever(command);
    }
  }
}
