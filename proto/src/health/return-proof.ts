// How a backend that was out proves that it is well: a sequential test on probes and a trickle of requests. Requests have
// a say of their own in it, since a server whose probes pass may still fail whatever is asked of it.

import {
  goodEventsToAccept,
  type SprtLimits,
  type SprtVerdict,
  sprtLimits,
  sprtVerdict,
  stepSprt,
} from "../stats/index.ts";
import type { HealthCounts } from "./health-counts.ts";

/** What has been seen since the proof began. */
export type Proof = {
  /** Of the test over all tries. */
  readonly sum: number;
  /** Of the same test over requests alone. */
  readonly requestsSum: number;
  readonly n: number;
  readonly bad: number;
  readonly canariesRightInRow: number;
};

export const noProof: Proof = { sum: 0, requestsSum: 0, n: 0, bad: 0, canariesRightInRow: 0 };

/** The return: 20 % failing is bad, 2 % is good; a bad one is let in once in 1,000, a good one sent back once in 20. */
export const returnLimits: SprtLimits = sprtLimits({
  good: 0.02,
  bad: 0.2,
  badTakenForGood: 0.001,
  goodTakenForBad: 0.05,
});

/** Canaries that must be right in a row, or, wrong in a row, are an outage. */
export const canariesInRow = 3;

export function addToProof(proof: Proof, counts: HealthCounts): Proof {
  const bad = counts.failed + counts.probesFailed;
  const n = counts.requests + counts.probes;
  return {
    sum: addTries(proof.sum, { n, bad }),
    requestsSum: addTries(proof.requestsSum, { n: counts.requests, bad: counts.failed }),
    n: proof.n + n,
    bad: proof.bad + bad,
    canariesRightInRow: counts.canariesWrong > 0 ? 0 : proof.canariesRightInRow + counts.canaries,
  };
}

/** Good when all tries say so and requests alone don't speak against it; bad when either says so. */
export function proofVerdict({ sum, requestsSum }: Proof): SprtVerdict {
  if (sprtVerdict(requestsSum, returnLimits) === "bad") return "bad";
  const verdict = sprtVerdict(sum, returnLimits);
  return verdict === "good" && requestsSum < 0 ? "undecided" : verdict;
}

/** Good tries in a row that a proving backend still lacks; of them so many must be requests. */
export function triesToReturn({ sum, requestsSum }: Proof): {
  readonly tries: number;
  readonly requests: number;
} {
  const tries = goodEventsToAccept(sum, returnLimits);
  const requests = Math.max(0, Math.ceil(-requestsSum / returnLimits.onGood - 1e-9));
  return { tries: Math.max(tries, requests), requests };
}

/** Bad events first: within a tick the order is not known, and the return is not given away by it. */
function addTries(
  before: number,
  { n, bad }: { readonly n: number; readonly bad: number },
): number {
  let sum = before;
  for (let each = 0; each < n && sprtVerdict(sum, returnLimits) !== "bad"; each++) {
    // Enough is enough: a sum that passed the bound waits there for the canaries, and can still fall.
    sum = Math.min(returnLimits.accept, stepSprt(sum, each < bad, returnLimits));
  }
  return sum;
}
