// What was seen of one backend in one tick, summed over everyone who saw it. Sums, so that the order of reports is of no
// matter.

/** Events of one tick. Client errors, clients that left and refusals for lack of room are in none of these. */
export type HealthCounts = {
  /** Requests that ended, or that broke. */
  readonly requests: number;
  readonly failed: number;
  /** Of those that failed: no connection came about. */
  readonly connectFailed: number;
  /** Requests whose wait for the first token could be judged. */
  readonly timed: number;
  /** Waits beyond what is usual, those that still last included. */
  readonly slow: number;
  readonly probes: number;
  readonly probesFailed: number;
  readonly canaries: number;
  readonly canariesWrong: number;
  /** Proxies that hold it out by their own fast path. */
  readonly ejectedBy: number;
};

export const noCounts: HealthCounts = {
  requests: 0,
  failed: 0,
  connectFailed: 0,
  timed: 0,
  slow: 0,
  probes: 0,
  probesFailed: 0,
  canaries: 0,
  canariesWrong: 0,
  ejectedBy: 0,
};

export function addCounts(a: HealthCounts, b: HealthCounts): HealthCounts {
  return {
    requests: a.requests + b.requests,
    failed: a.failed + b.failed,
    connectFailed: a.connectFailed + b.connectFailed,
    timed: a.timed + b.timed,
    slow: a.slow + b.slow,
    probes: a.probes + b.probes,
    probesFailed: a.probesFailed + b.probesFailed,
    canaries: a.canaries + b.canaries,
    canariesWrong: a.canariesWrong + b.canariesWrong,
    ejectedBy: a.ejectedBy + b.ejectedBy,
  };
}
