// An answer in its own words: what a model server writes on the wire, spoilt or not, read by the real codec as a proxy does,
// and read again as a client would read what the proxy passes on. For a part of the requests: bytes cost time.

import { type UpstreamFailure, upstreamFailure } from "@meridian/data-core/attempt";
import type { Random } from "@meridian/proto/base";
import { openai, type StreamTap } from "@meridian/wire";
import type { TrueEnding } from "./backend.ts";

/** One request in so many is spoken. */
export const spokenEvery = 8;

/** What a client makes of the bytes that it got. */
export type ClientReading = "complete" | "error" | "cut";

const clientModel = "llama-8b";
const options = {
  kind: "chat",
  clientModel,
  choices: 1,
  includeUsage: false,
  keepsText: false,
  after: undefined,
} as const;

/** Ways in which a stream ends before its answer does. */
const cuts = ["plain", "inside an event", "sentinel alone", "error frame"] as const;

export class SpokenAnswer {
  readonly #tap: StreamTap = openai.openStream(options);
  readonly #random: Random;
  #sent = "";

  constructor(random: Random) {
    this.#random = random;
  }

  /** What the proxy passes on of it. */
  get sent(): string {
    return this.#sent;
  }

  /** The role, a comment, and the first word. true: the codec found something that a reader would see. */
  begin(): boolean {
    this.#take(chunk('"delta":{"role":"assistant"},"finish_reason":null'));
    this.#take(": ping\n\n");
    this.#take(content("Well"));
    return this.#tap.semantic;
  }

  /** undefined: the codec calls it complete. */
  end(ending: TrueEnding): UpstreamFailure | undefined {
    if (ending === "cut") return upstreamFailure("reset", "the connection broke within the answer");
    if (ending === "empty") this.#take(chunk('"delta":{"role":"assistant"},"finish_reason":null'));
    else this.#take(content(", ") + content("then."));
    if (ending === "truncated") this.#cut();
    else if (ending === "empty") this.#take("data: [DONE]\n\n");
    else this.#take(`${chunk('"delta":{},"finish_reason":"stop"')}data: [DONE]\n\n`);
    if (!this.#tap.complete && this.#tap.fault === undefined) this.#sent += this.#tap.end();
    if (this.#tap.complete) return undefined;
    const { kind, message } = this.#tap.fault ?? { kind: "truncated", message: "it broke off" };
    return upstreamFailure(kind, message);
  }

  #cut(): void {
    switch (cuts[this.#random.integer(cuts.length)]) {
      case "inside an event":
        this.#take(content("but").slice(0, 20));
        return;
      case "sentinel alone":
        this.#take("data: [DONE]\n\n");
        return;
      case "error frame":
        this.#take('data: {"error":{"message":"out of memory"}}\n\n');
        return;
      default:
        return;
    }
  }

  #take(text: string): void {
    this.#sent += this.#tap.push(text);
  }
}

/** What a client that got these bytes, and after a break the protocol's error, takes the answer for. */
export function readAsClient(sent: string, failure: UpstreamFailure | undefined): ClientReading {
  const tap = openai.openStream(options);
  tap.push(sent);
  if (failure !== undefined) {
    const problems = [
      { code: "stream_broken", path: "", message: failure.message, hint: "", warning: false },
    ];
    tap.push(
      openai.renderStreamError({ class: "bad-upstream", problems, retryAfterMs: undefined }),
    );
  }
  if (tap.complete) return "complete";
  return tap.fault === undefined ? "cut" : "error";
}

function content(text: string): string {
  return chunk(`"delta":{"content":${JSON.stringify(text)}},"finish_reason":null`);
}

function chunk(choice: string): string {
  return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"${clientModel}","choices":[{"index":0,${choice}}]}\n\n`;
}
