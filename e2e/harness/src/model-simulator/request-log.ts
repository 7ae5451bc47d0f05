// What the simulator was asked, for tests to look at: the last requests, never their prompts.

import type { IncomingHttpHeaders } from "node:http";

export type SeenRequest = {
  readonly number: number;
  readonly atMs: number;
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
  model: string | undefined;
  stream: boolean;
  status: number | undefined;
  tokens: number;
  /** open, completed, aborted (the client left), failed (an error was answered), or fault:KIND. */
  outcome: string;
};

/** Beyond this the oldest is forgotten. */
export const seenMax = 2_000;

export class RequestLog {
  #seen: SeenRequest[] = [];
  #total = 0;

  open(path: string, headers: IncomingHttpHeaders): SeenRequest {
    this.#total += 1;
    const entry: SeenRequest = {
      number: this.#total,
      atMs: Date.now(),
      path,
      headers: shown(headers),
      model: undefined,
      stream: false,
      status: undefined,
      tokens: 0,
      outcome: "open",
    };
    this.#seen.push(entry);
    if (this.#seen.length > seenMax) this.#seen.shift();
    return entry;
  }

  view(): { readonly total: number; readonly requests: readonly SeenRequest[] } {
    return { total: this.#total, requests: this.#seen };
  }

  clear(): void {
    this.#seen = [];
    this.#total = 0;
  }
}

/** Headers that tell who asked and how; the value of a credential never, only that there was one. */
function shown(headers: IncomingHttpHeaders): { readonly [name: string]: string } {
  const out: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(headers)) {
    const secret = /^(authorization|x-api-key|api-key|cookie)$/.test(name);
    out[name] = secret ? "(present)" : String(value);
  }
  return out;
}
