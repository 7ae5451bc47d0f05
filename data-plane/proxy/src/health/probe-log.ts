// Log lines about probes that fail: the first one of a row for everybody, the others for who looks closely. What an answer
// said is never written.

import type { DueProbe } from "@meridian/data-core/probe";
import type { HealthCounts } from "@meridian/proto/health";
import type { Logger } from "pino";

type Kind = DueProbe["kind"];

export class ProbeLog {
  readonly #logger: Pick<Logger, "debug" | "info">;
  /** Those whose last one failed. */
  readonly #failing: { readonly [K in Kind]: Set<string> } = {
    alive: new Set(),
    canary: new Set(),
  };

  constructor(logger: Pick<Logger, "debug" | "info">) {
    this.#logger = logger;
  }

  failed(backend: string, kind: Kind, reason: string): void {
    const isNew = !this.#failing[kind].has(backend);
    this.#failing[kind].add(backend);
    this.#logger[isNew ? "info" : "debug"]({ backend, kind, reason }, "probe failed");
  }

  /** The policy has these backends, and no others any more. */
  keep(backends: ReadonlySet<string>): void {
    for (const failing of Object.values(this.#failing)) {
      for (const backend of failing) if (!backends.has(backend)) failing.delete(backend);
    }
  }

  /** What came back in the last second: a good one ends a row. */
  ticked(backend: string, { probes, probesFailed, canaries, canariesWrong }: HealthCounts): void {
    if (probes > probesFailed) this.#end(backend, "alive");
    if (canaries > canariesWrong) this.#end(backend, "canary");
  }

  #end(backend: string, kind: Kind): void {
    if (!this.#failing[kind].delete(backend)) return;
    this.#logger.info({ backend, kind }, "probe succeeds again");
  }
}
