// One synthetic request to another region's proxy: undici's handler. It tells the time between the request and the head of
// its answer, without that for a new connection.

import type { Clock, Instant } from "@meridian/proto/base";
import type { Dispatcher } from "undici";

/** `none`: the way or the other side does not work; the reason names no host. */
export type PathAnswer =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly rttMs: number;
      readonly text: string;
    }
  | { readonly kind: "none"; readonly reason: string };

/** The state of 2,000 pools, and then some. */
const bytesMax = 262_144;

export class PathCall implements Dispatcher.DispatchHandler {
  readonly #clock: Clock;
  readonly #done: (answer: PathAnswer) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  #isOver = false;
  #sentAt: Instant = 0;
  #status = 0;
  #rttMs = 0;
  #text = "";

  constructor(clock: Clock, limitMs: number, done: (answer: PathAnswer) => void) {
    this.#clock = clock;
    this.#done = done;
    this.#timer = setTimeout(() => this.stop("no answer in time"), limitMs).unref();
  }

  /** Ends it, wherever it is: its connection is not used again. */
  stop(reason: string): void {
    this.#end({ kind: "none", reason });
    this.#controller?.abort(new Error(reason));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sentAt = this.#clock.now();
    // It waited for its connection until it was given up.
    if (this.#isOver) controller.abort(new Error("given up"));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    this.#rttMs = this.#clock.now() - this.#sentAt;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#text += chunk.toString("latin1");
    if (this.#text.length > bytesMax) this.stop("it answers too much");
  }

  onResponseEnd(): void {
    const text = Buffer.from(this.#text, "latin1").toString();
    this.#end({ kind: "answer", status: this.#status, rttMs: this.#rttMs, text });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#end({ kind: "none", reason: codeOf(error) });
  }

  #end(answer: PathAnswer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#done(answer);
  }
}

function codeOf(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]{1,40}$/.test(code) ? code : "no answer";
}
