// What the end of one request says about this region as clients see it: was it answered, or did we fail it?

import { assertNever } from "@meridian/proto/base";
import { type AttemptRecord, healthClass, type UpstreamFailure } from "../attempt/index.ts";
import type { Settled } from "../load/index.ts";
import type { Outcome } from "./engine.ts";

/**
 * "failed": for a reason that another region's proxies might not have. What clients cause, limits, and a lack of room say
 * nothing; nor does a request that another region could not answer either, or that came from there.
 */
export function edgeEvidence(
  outcome: Pick<Outcome, "facts" | "ending" | "attempts">,
): Settled["edge"] {
  const { facts, ending, attempts } = outcome;
  if (facts.arrivedFrom !== undefined) return "nothing";
  switch (ending.kind) {
    case "complete":
      return "answered";
    case "rejected":
    case "client-gone":
      return "nothing";
    case "broken":
      return failureEvidence(ending.failure, attempts);
    case "refused": {
      const { last, retryAfterMs } = ending.cause;
      if (last !== undefined) return failureEvidence(last, attempts);
      // Nobody was asked: all are full, which passes, or there is nobody.
      return retryAfterMs === undefined ? "failed" : "nothing";
    }
    default:
      return assertNever(ending);
  }
}

function failureEvidence(
  failure: UpstreamFailure,
  attempts: readonly AttemptRecord[],
): Settled["edge"] {
  if (healthClass(failure) === "none") return "nothing";
  return attempts.some(isAnsweredAbroad) ? "nothing" : "failed";
}

/** Another region took the call and failed it as well: clients that go there fare no better. */
function isAnsweredAbroad({ candidate, failure }: AttemptRecord): boolean {
  return candidate.kind === "peer" && failure !== undefined && healthClass(failure) !== "connect";
}
