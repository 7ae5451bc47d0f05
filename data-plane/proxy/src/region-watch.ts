// Keeps the verdict on the own region up to date, once a second and whenever somebody asks. How clients fare is judged by
// the second alone: the test counts on it, and questions may come at any rate.

import type { EngineReport } from "@meridian/data-core/engine";
import { calmEdge, type EdgeHealth, edgeTrouble, stepEdge } from "@meridian/data-core/health";
import type { SyncStatus } from "@meridian/data-core/sync";
import type { Clock } from "@meridian/proto/base";
import { formatVersion } from "@meridian/proto/snapshot";
import type { RegionReading } from "./ops-server.ts";
import {
  capacityShare,
  initialVerdict,
  isOpenToClients,
  judgeRegion,
  type RegionEvidence,
  type RegionVerdict,
} from "./region-verdict.ts";

export type RegionWatchOptions = {
  readonly region: string;
  readonly clock: Clock;
  readonly report: () => EngineReport;
  readonly status: () => SyncStatus;
  readonly isStopping: () => boolean;
  /** Of the region's backends, by the policy. */
  readonly weights: () => ReadonlyMap<string, number>;
};

const everyMs = 1_000;

export class RegionWatch {
  readonly #options: RegionWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #verdict: RegionVerdict;
  #edge: EdgeHealth = calmEdge;
  /** Of the second before; undefined: there was none. */
  #counted: EngineReport["edge"] | undefined;

  constructor(options: RegionWatchOptions) {
    this.#options = options;
    this.#verdict = initialVerdict(options.clock.now());
    this.#timer = setInterval(() => this.#tick(), everyMs).unref();
  }

  read(): RegionReading {
    const { clock, region, status, isStopping, weights } = this.#options;
    const now = clock.now();
    const report = this.#options.report();
    const { held, stateAge } = status();
    const evidence: RegionEvidence = {
      isDrained: report.draining,
      isStopping: isStopping(),
      hasSnapshot: held !== undefined,
      available: report.backends.filter((each) => each.available).length,
      backends: report.backends.length,
      capacity: capacityShare(report.backends, weights()),
      edgeTrouble: edgeTrouble(this.#edge, now),
    };
    this.#verdict = judgeRegion(this.#verdict, evidence, now);
    const peers = report.peers.filter((each) => each.available).length;
    return {
      region,
      verdict: this.#verdict,
      isOpen: isOpenToClients(this.#verdict, evidence, peers),
      since: new Date(clock.wall() - (now - this.#verdict.since)).toISOString(),
      revision: formatVersion(held?.version),
      isStale: stateAge.kind === "stale" || stateAge.kind === "none",
      live: report.liveRequests,
    };
  }

  #tick(): void {
    const { edge } = this.#options.report();
    const before = this.#counted ?? edge;
    const counts = {
      answered: edge.answered - before.answered,
      failed: edge.failed - before.failed,
    };
    this.#edge = stepEdge(this.#edge, counts, this.#options.clock.now());
    this.#counted = edge;
    this.read();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
