// What the end of a call says: about a target's health, about its room, and for the counters.

import { assertNever, type Instant } from "@meridian/proto/base";
import { type AttemptEnd, classOf, healthClass } from "../attempt/index.ts";
import type { Saturation } from "../balance/index.ts";
import type { EndedCall } from "../health/index.ts";
import type { CountedOutcome } from "../load/index.ts";

/** How long others come first: after "full" without a time, and after "I don't serve this model". */
const avoidMs = { full: 1_000, notServed: 10_000 } as const;

/** Who is full is left alone for as long as it asked. Backends only: a peer speaks for its backends, not for itself. */
export function noteRoom(end: AttemptEnd, saturation: Saturation, now: Instant): void {
  const { candidate, failure, outcome } = end;
  if (candidate.kind === "peer") return;
  if (outcome === "complete") saturation.welcome(candidate.slot);
  if (failure === undefined) return;
  if (failure.kind === "saturated") {
    if (failure.retryAfterMs === undefined) saturation.avoid(candidate.slot, avoidMs.full, now);
    else saturation.fill(candidate.slot, failure.retryAfterMs, now);
  } else if (classOf(failure) === "status-not-served") {
    saturation.avoid(candidate.slot, avoidMs.notServed, now);
  }
}

/** Evidence for health. What we cut ourselves, and what clients cause, says nothing. */
export function evidenceOf(end: AttemptEnd): EndedCall["evidence"] {
  switch (end.outcome) {
    case "complete":
      return "success";
    // The request was at fault. That the target answers it says little for the others: many such would hide its failures.
    case "rejected":
    case "cancelled":
      return "nothing";
    case "failed": {
      if (end.failure === undefined) return "nothing";
      const health = healthClass(end.failure);
      if (health === "none") return "nothing";
      return health === "connect" ? "connect-failure" : "failure";
    }
    default:
      return assertNever(end.outcome);
  }
}

export function countedAs(evidence: EndedCall["evidence"]): CountedOutcome {
  if (evidence === "success") return "succeeded";
  return evidence === "nothing" ? "uncounted" : "failed";
}
