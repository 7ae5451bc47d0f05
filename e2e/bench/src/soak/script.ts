// What one request asks of the upstream: how long the answer is, at what pace it comes, and what goes wrong in which
// call. It travels in the prompt, so that the upstream needs no state of its own and no request another's script.

/** What goes wrong in a call. Token 0 is before the first token. */
export type CallFault = {
  readonly kind: /** The connection is reset. */
    | "reset"
    /** A clean end of the body without the protocol's last frame. */
    | "end"
    /** Nothing more comes, and the connection stays. */
    | "stall"
    /** A frame that is no JSON. */
    | "malformed"
    /** The protocol's error, in the stream. */
    | "error-frame"
    /** Status 500; at token 0 alone. */
    | "status";
  readonly atToken: number;
};

export type CallScript = {
  /** From the request to the first token, milliseconds. */
  readonly firstMs: number;
  readonly fault: CallFault | undefined;
};

export type Script = {
  /** Unique in a run; every token carries it. */
  readonly id: string;
  readonly tokens: number;
  /** Characters of a token. */
  readonly tokenSize: number;
  /** Between two tokens, milliseconds. */
  readonly everyMs: number;
  /** What the upstream tells as the prompt's tokens. */
  readonly promptTokens: number;
  /** The n-th call of this request meets the n-th; further calls meet the last one without its fault. */
  readonly calls: readonly CallScript[];
};

/** A token's text; no other token of any request has the same. */
export function tokenText(script: Pick<Script, "id" | "tokenSize">, index: number): string {
  return `${script.id}.${index} `.padEnd(script.tokenSize, "x");
}

/** The first tokens of an answer as one text. */
export function textOf(script: Pick<Script, "id" | "tokenSize">, tokens: number): string {
  return Array.from({ length: tokens }, (_, index) => tokenText(script, index)).join("");
}

/** How many whole tokens a text is the beginning of; undefined when it is not one. */
export function tokensIn(script: Script, text: string): number | undefined {
  let at = 0;
  for (let index = 0; index <= script.tokens; index++) {
    if (at === text.length) return index;
    const token = tokenText(script, index);
    if (!text.startsWith(token, at)) return undefined;
    at += token.length;
  }
  return undefined;
}

const mark = "soak:";

/** The prompt that carries a script, filled up to a size that an upload takes a while for. */
export function promptOf(script: Script, paddingBytes: number): string {
  return `${mark}${JSON.stringify(script)}\n${"p".repeat(paddingBytes)}`;
}

/** Throws on a prompt that promptOf has not made. */
export function scriptIn(prompt: string): Script {
  if (!prompt.startsWith(mark)) throw new Error("the prompt carries no script");
  // Written by promptOf.
  return JSON.parse(prompt.slice(mark.length, prompt.indexOf("\n"))) as Script;
}

/** What the upstream tells of each call at its end. Times are of the machine's monotonic clock, milliseconds. */
export type CallRecord = {
  readonly id: string;
  /** Which upstream. */
  readonly place: number;
  readonly begunAtMs: number;
  /** Tokens that were written. */
  readonly tokens: number;
  /** cancelled: the caller left. fault: the script's. */
  readonly end: "complete" | "cancelled" | "fault";
  readonly endedAtMs: number;
  /** Why the call cannot be answered as scripted: a wrong continuation, for instance. */
  readonly complaint: string | undefined;
};

export type FromUpstream =
  | { readonly kind: "listening"; readonly ports: readonly number[] }
  | { readonly kind: "begun"; readonly id: string; readonly place: number }
  | { readonly kind: "ended"; readonly record: CallRecord };
