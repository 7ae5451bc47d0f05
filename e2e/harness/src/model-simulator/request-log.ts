// What the simulator was asked, for tests to look at: the last requests, never their prompts.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

export type SeenRequest = {
  readonly number: number;
  readonly atMs: number;
  /** Where it came to, when one simulator stands for several servers. */
  readonly port: number;
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
  model: string | undefined;
  stream: boolean;
  status: number | undefined;
  tokens: number;
  /** open, completed, aborted (the client left), failed (an error was answered), or fault:KIND. */
  outcome: string;
  /** How the response ended: not yet; sent whole; cut by a fault; or left by the caller before its end. */
  ending: "open" | "sent" | "cut" | "cancelled";
  endedAtMs: number | undefined;
};

/** Which requests are asked for; undefined and the empty list: all. */
export type SeenFilter = {
  readonly model: string | undefined;
  readonly ports: readonly number[];
  readonly after: number;
};

const everything: SeenFilter = { model: undefined, ports: [], after: 0 };

/** Beyond this the oldest is forgotten. */
export const seenMax = 2_000;

export class RequestLog {
  #seen: SeenRequest[] = [];
  #total = 0;

  /** A request that came, followed until its response ends. */
  open(request: IncomingMessage, path: string, response: ServerResponse): SeenRequest {
    this.#total += 1;
    const entry: SeenRequest = {
      number: this.#total,
      atMs: Date.now(),
      port: request.socket.localPort ?? 0,
      path,
      headers: shown(request.headers),
      model: undefined,
      stream: false,
      status: undefined,
      tokens: 0,
      outcome: "open",
      ending: "open",
      endedAtMs: undefined,
    };
    response.on("close", () => {
      if (entry.ending === "open") entry.ending = response.writableFinished ? "sent" : "cancelled";
      entry.endedAtMs = Date.now();
    });
    this.#seen.push(entry);
    if (this.#seen.length > seenMax) this.#seen.shift();
    return entry;
  }

  view(filter: SeenFilter = everything): {
    readonly total: number;
    readonly requests: readonly SeenRequest[];
  } {
    const { model, ports, after } = filter;
    const fits = (each: SeenRequest) =>
      each.number > after &&
      (model ?? each.model) === each.model &&
      (ports.length === 0 || ports.includes(each.port));
    return { total: this.#total, requests: this.#seen.filter(fits) };
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
