// What a router knows of a model server's metrics: read every so often, and some time late.

import type { ModelServer, ServerMetrics } from "./model-server.ts";
import type { Timeline } from "./timeline.ts";

export class MetricsView {
  #latest: ServerMetrics | undefined;
  readonly stop: () => void;

  /** Reads every `everyMs`; a reading is known `delayMs` after it was taken. */
  constructor(
    timeline: Timeline,
    server: ModelServer,
    timing: { readonly everyMs: number; readonly delayMs: number; readonly offsetMs?: number },
  ) {
    const read = (): void => {
      const metrics = server.metrics();
      timeline.after(timing.delayMs, () => {
        this.#latest = metrics;
      });
    };
    this.stop = timeline.every(timing.everyMs, read, timing.offsetMs);
  }

  /** undefined: none has come yet. `at` is when the server was asked. */
  latest(): ServerMetrics | undefined {
    return this.#latest;
  }
}
