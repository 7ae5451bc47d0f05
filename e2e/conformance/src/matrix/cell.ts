// One cell of the fault matrix: what happens, when, to what kind of request, with whom to fall back on.

/** Where in an answer something happens. `token-N`: after N tokens; `last`: after all of them, before the end. */
export type Moment =
  | "before-headers"
  | "after-headers"
  | "token-0"
  | "token-1"
  | "token-20"
  | "last"
  /** The answer as a whole. */
  | "whole";

/** A rule of the model simulator's /faults. */
export type FaultRule = { readonly kind: string; readonly [field: string]: unknown };

/** What the thing that happens is to a router, in the words of the rules (docs/errors.md). */
export type Nature =
  /** Nothing is wrong, however odd it looks: the client gets the answer. */
  | { readonly kind: "legal" }
  /** A connection that had served before was gone: the same server is asked on a new one. */
  | { readonly kind: "sent-again" }
  /** The request itself is at fault: nobody else is asked. */
  | { readonly kind: "request-fault"; readonly status: number }
  /** The model server fails, and is seen to at once. */
  | { readonly kind: "fails"; readonly failure: string; readonly status?: number }
  /** The model server goes silent, or says no more than that it lives. */
  | { readonly kind: "stalls"; readonly pings: boolean };

export type Mode = "stream" | "whole";

/** Healthy model servers beside the one that fails. */
export type Alternatives = 0 | 1 | 2;

/**
 * Under which policy. plain: the matrix's short limits. quick: a limit for the head, too. hedge: a second call beside a
 * late one. resume: streams that break go on. abroad: the alternative is in another region; onward: and goes on there.
 */
export const families = ["plain", "quick", "hedge", "resume", "abroad", "onward"] as const;
export type Family = (typeof families)[number];

/** What the application does, beside reading. */
export type Leaving = {
  /** It leaves so long after it asked, or once it has read so many tokens. */
  readonly afterMs?: number;
  readonly afterTokens?: number;
};

export type Cell = {
  readonly name: string;
  readonly family: Family;
  readonly fault: string;
  readonly moment: Moment;
  readonly mode: Mode;
  readonly alternatives: Alternatives;
  readonly rule: FaultRule;
  readonly nature: Nature;
  /** The rule is one of a port: it meets whoever is asked there, so the cell asks until it was met. */
  readonly onPort: boolean;
  /** So many servers meet the fault, one after the other. */
  readonly victims: number;
  readonly leaving: Leaving | undefined;
  /** Fields of the request beyond the usual ones. */
  readonly more: { readonly [field: string]: unknown };
};
