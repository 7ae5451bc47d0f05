// What must be seen of a cell, by the rules alone: nothing here looks at what was seen.

import { assertNever } from "@meridian/proto/base";
import type { Cell, Nature } from "./cell.ts";
import { isBeforeToken } from "./fault-table.ts";

/** Time limits of the matrix's routes, in milliseconds: short, so that a stall is over soon. */
export const limits = {
  connectMs: 800,
  headersMs: 600,
  firstTokenMs: 900,
  betweenTokensMs: 700,
  totalMs: 2_500,
} as const;

/** What the client is to see. */
export type ClientView =
  | { readonly kind: "answer" }
  /** A proper error before anything else. */
  | { readonly kind: "refused"; readonly status: number }
  /** So many tokens, then the error frame. */
  | { readonly kind: "broken"; readonly tokens: number | "all" };

export type Expectation = {
  readonly client: ClientView;
  /** Requests that the model servers saw. */
  readonly calls: number;
  /** The one that went silent must see its caller leave. */
  readonly isLeft: boolean;
  /** It ends no sooner than this, and no later than `withinMs`. */
  readonly afterMs: number;
  readonly withinMs: number;
  /** Of the decision record: how the request ended, and what became of each call in turn. */
  readonly ending: "complete" | "rejected" | "refused" | "broken";
  readonly outcomes: readonly string[];
};

/** A busy machine may be so late. */
const slackMs = 1_500;

/** The rules, for one cell. */
export function expectationOf(cell: Cell): Expectation {
  const { nature } = cell;
  switch (nature.kind) {
    case "legal":
      return answered(["complete"], 0);
    case "request-fault":
      return {
        ...answered(["rejected"], 0),
        client: { kind: "refused", status: nature.status },
        ending: "rejected",
      };
    case "fails":
      return failing(cell, nature.failure, 0);
    case "stalls":
      return failing(cell, `${nature.limit}-timeout`, limitMs(nature));
    default:
      return assertNever(nature);
  }
}

/** Before the first token another one answers, if there is one; after it the client is told. */
function failing(cell: Cell, failure: string, noticedMs: number): Expectation {
  const isLeft = noticedMs > 0;
  if (isCommitted(cell)) {
    const client = { kind: "broken", tokens: tokensBefore(cell) } as const;
    const base = answered([failure], noticedMs);
    return { ...base, client, isLeft, ending: "broken" };
  }
  if (cell.alternatives > 0) return { ...answered([failure, "complete"], noticedMs), isLeft };
  // Whoever is the last to be asked is waited for until the request's whole time is over.
  const last = isLeft ? "total-timeout" : failure;
  return {
    ...answered([last], isLeft ? limits.totalMs : 0),
    client: { kind: "refused", status: refusalStatus(cell.nature, last) },
    isLeft,
    ending: "refused",
  };
}

function answered(outcomes: readonly string[], afterMs: number): Expectation {
  return {
    client: { kind: "answer" },
    calls: outcomes.length,
    isLeft: false,
    afterMs,
    withinMs: afterMs + slackMs,
    ending: "complete",
    outcomes,
  };
}

/** The client has had something of the answer by then. A whole answer is held until it is there. */
function isCommitted({ mode, moment, fault }: Cell): boolean {
  if (mode === "whole") return false;
  // An answer that has a word in it is told as it comes; one without fails before anybody has seen it.
  return moment === "whole" ? fault === "reset-after-finish" : !isBeforeToken(moment);
}

function tokensBefore({ moment }: Cell): number | "all" {
  if (moment === "token-1") return 1;
  return moment === "token-20" ? 20 : "all";
}

function limitMs(nature: Extract<Nature, { readonly kind: "stalls" }>): number {
  switch (nature.limit) {
    case "headers":
      return limits.headersMs;
    case "first-token":
      return limits.firstTokenMs;
    case "between-tokens":
      return limits.betweenTokensMs;
    default:
      return assertNever(nature.limit);
  }
}

/** docs/errors.md: who could not be reached or has no room is 503 or 429, who failed 502, who was late 504. */
function refusalStatus(nature: Nature, failure: string): number {
  if (failure === "total-timeout") return 504;
  if (failure === "connect" || failure === "no-answer") return 503;
  if (failure === "saturated") return nature.kind === "fails" ? (nature.status ?? 503) : 503;
  return 502;
}
