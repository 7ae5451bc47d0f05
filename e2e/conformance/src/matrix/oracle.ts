// What must be seen of a cell, by the rules alone: nothing here looks at what was seen.

import { assertNever } from "@meridian/proto/base";
import type { Cell, Nature } from "./cell.ts";
import { isBeforeToken } from "./fault-table.ts";

/** Time limits of the matrix's routes, in milliseconds: short, so that a stall is over soon. */
export const limits = {
  connectMs: 800,
  firstTokenMs: 900,
  betweenTokensMs: 700,
  totalMs: 4_500,
} as const;

/** Of the route "quick" alone. */
export const quickHeadersMs = 400;

/** Of the route "hedge" alone. */
export const hedgeMinMs = 50;

/** What a request for a whole answer allows. The answer comes when all of it is there, so its tokens count. */
export const wholeTokensMax = 26;
const msPerOutputToken = 100;

/** What the client is to see. */
export type ClientView =
  | { readonly kind: "answer" }
  /** A proper error before anything else, the proxy's own or the model server's. */
  | { readonly kind: "refused"; readonly status: number; readonly passedOn?: boolean }
  /** So many tokens, then the error frame. */
  | { readonly kind: "broken"; readonly tokens: number | "all" }
  /** It has left. */
  | { readonly kind: "gone" };

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
  readonly ending: "complete" | "rejected" | "refused" | "broken" | "client-gone";
  readonly outcomes: readonly string[];
  /** undefined: nothing is said of it. */
  readonly usage: { readonly exact: boolean; readonly tokens: number | "all" } | undefined;
  /** So many times the stream went on from elsewhere. */
  readonly seams: number;
};

/** A busy machine may be so late. */
const slackMs = 1_500;

/** The rules, for one cell. */
export function expectationOf(cell: Cell): Expectation {
  if (cell.leaving !== undefined) return gone(cell);
  const { nature } = cell;
  switch (nature.kind) {
    case "legal":
      return {
        ...answered(["complete"], 0),
        usage: { exact: cell.fault !== "no-usage", tokens: "all" },
      };
    case "sent-again":
      return { ...answered(["complete"], 0), calls: 2 };
    case "request-fault":
      return {
        ...answered(["rejected"], 0),
        client: { kind: "refused", status: nature.status, passedOn: true },
        ending: "rejected",
        usage: undefined,
      };
    case "fails":
      return failing(cell, nature.failure, 0);
    case "stalls":
      return stalling(cell, nature);
    default:
      return assertNever(nature);
  }
}

/** Before the first token another one answers, if there is one; after it another goes on, or the client is told. */
function failing(cell: Cell, failure: string, noticedMs: number): Expectation {
  const isLeft = noticedMs > 0;
  const { alternatives, victims } = cell;
  const failures = new Array<string>(Math.min(victims, alternatives + 1)).fill(failure);
  const isHelped = alternatives >= victims;
  const timeMs = noticedMs * failures.length;
  const unseen = isUnseen(cell) ? failures.length : 0;
  if (isCommitted(cell)) {
    if (isHelped && mayGoOn(cell)) {
      const base = answered([...failures, "complete"], timeMs);
      return { ...base, isLeft, seams: victims };
    }
    const tokens = tokensBefore(cell);
    return {
      ...answered([failure], noticedMs),
      client: { kind: "broken", tokens },
      isLeft,
      ending: "broken",
      // After its finish reason a stream has told its usage, too.
      usage: { exact: cell.moment === "whole", tokens },
    };
  }
  if (isHelped) {
    const base = answered([...failures, "complete"], timeMs);
    return { ...base, calls: base.calls - unseen, isLeft };
  }
  const base = answered(failures, timeMs);
  return {
    ...base,
    calls: base.calls - unseen,
    client: { kind: "refused", status: refusalStatus(cell.nature, failure) },
    isLeft,
    ending: "refused",
    usage: undefined,
  };
}

function stalling(cell: Cell, nature: Extract<Nature, { readonly kind: "stalls" }>): Expectation {
  if (isCommitted(cell)) {
    // Who has begun to answer and says that it lives is waited for: it may think, or use a tool.
    if (nature.pings) return outOfTime(cell, { kind: "broken", tokens: tokensBefore(cell) });
    return failing(cell, "between-tokens-timeout", limits.betweenTokensMs);
  }
  // Whoever is the last to be asked is waited for until the request's whole time is over.
  if (cell.alternatives < cell.victims) return outOfTime(cell, { kind: "refused", status: 504 });
  if (cell.family === "hedge") return hedged();
  const outputMs = cell.mode === "whole" ? wholeTokensMax * msPerOutputToken : 0;
  if (cell.moment === "before-headers" && cell.family === "quick") {
    return failing(cell, "headers-timeout", quickHeadersMs + outputMs);
  }
  return failing(cell, "first-token-timeout", limits.firstTokenMs + outputMs);
}

function outOfTime(cell: Cell, client: ClientView): Expectation {
  const isBroken = client.kind === "broken";
  return {
    ...answered(["total-timeout"], limits.totalMs),
    client,
    isLeft: true,
    ending: isBroken ? "broken" : "refused",
    usage: isBroken ? { exact: false, tokens: tokensBefore(cell) } : undefined,
  };
}

/** A second call is made beside the silent one long before that is given up. */
function hedged(): Expectation {
  const base = answered(["cancelled", "complete"], hedgeMinMs);
  return { ...base, isLeft: true, withinMs: limits.firstTokenMs - 1 };
}

/** The model server must see within 100 ms that nobody reads any more; compare.ts holds that. */
function gone({ leaving, moment, mode, victims }: Cell): Expectation {
  const calls = new Array<string>(victims - 1).fill("first-token-timeout");
  const isSilentThen = mode === "stream" && (moment === "token-1" || moment === "token-20");
  return {
    ...answered([...calls, "cancelled"], leaving?.afterMs ?? 0),
    client: { kind: "gone" },
    isLeft: true,
    ending: "client-gone",
    // Where the model server goes on to speak, nobody knows how much of it was under way.
    usage: isSilentThen ? { exact: false, tokens: moment === "token-1" ? 1 : 20 } : undefined,
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
    usage: { exact: true, tokens: "all" },
    seams: 0,
  };
}

/** The client has had something of the answer by then. A whole answer is held until it is there. */
function isCommitted({ mode, moment, fault }: Cell): boolean {
  if (mode === "whole") return false;
  // An answer that has a word in it is told as it comes; one without fails before anybody has seen it.
  return moment === "whole" ? fault === "reset-after-finish" : !isBeforeToken(moment);
}

/** By the policy, and for text alone. */
function mayGoOn({ family, more, fault }: Cell): boolean {
  if (family !== "resume" && family !== "onward") return false;
  return more.response_format === undefined && fault !== "reset-after-finish";
}

function tokensBefore({ moment }: Cell): number | "all" {
  if (moment === "token-1") return 1;
  return moment === "token-20" ? 20 : "all";
}

/** The model server never saw a request. */
function isUnseen({ fault }: Cell): boolean {
  return fault === "refuse" || fault === "close-at-connect";
}

/** docs/errors.md: who could not be reached or has no room is 503 or 429, who failed 502, who was late 504. */
function refusalStatus(nature: Nature, failure: string): number {
  if (failure === "connect" || failure === "no-answer") return 503;
  if (failure !== "saturated") return 502;
  return nature.kind === "fails" && nature.status === 429 ? 429 : 503;
}
