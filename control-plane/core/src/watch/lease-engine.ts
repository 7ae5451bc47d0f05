// Keeps one etcd lease alive, and stops believing in it before etcd stops: the deadline is ours, on our monotonic
// clock, counted from when the last acknowledged keepalive was sent. (npm etcd3 says "lost" after two TTLs, 11 s
// after another owner may have started: multiregion 2.4.)

import { assertNever, fullJitterMs, type Instant, type Random } from "@meridian/proto/base";
import { EndpointOrder } from "./endpoint-order.ts";

export type LeaseEngineOptions = {
  /** As the store granted it. */
  readonly ttlMs: number;
  /** When the request that was granted was sent. */
  readonly sentAt: Instant;
  /** Subtracted from what is believed: after a new leader's election the old one's clock no longer counts. */
  readonly electionTimeoutMs: number;
  readonly endpoints: number;
  readonly random: Random;
};

export type LeaseInput =
  | { readonly kind: "start" }
  /** The answer to the one keepalive that is under way; 0 when the store no longer knows the lease. */
  | { readonly kind: "acked"; readonly stream: number; readonly ttlMs: number }
  | { readonly kind: "failed"; readonly stream: number; readonly message: string }
  | { readonly kind: "release" }
  | { readonly kind: "tick" };

export type LeaseCommand =
  /** Open a LeaseKeepAlive stream with the `hasleader` metadata. */
  | { readonly kind: "open"; readonly stream: number; readonly endpoint: number }
  | { readonly kind: "keepalive"; readonly stream: number }
  | { readonly kind: "close"; readonly stream: number }
  /** Nobody may act on the lease any more. Told once. */
  | { readonly kind: "lost"; readonly reason: string }
  /** Let the store drop the lease and its keys now; where that fails they go by themselves. */
  | { readonly kind: "revoke"; readonly endpoint: number };

type Stream = { readonly id: number; readonly endpoint: number };
type Pending = { readonly sentAt: Instant; readonly answerBy: Instant };

export class LeaseEngine {
  readonly #options: LeaseEngineOptions;
  readonly #order: EndpointOrder;
  readonly #marginMs: number;
  #deadline: Instant;
  #beatAt: Instant;
  #stream: Stream | undefined;
  #pending: Pending | undefined;
  #attempts = 0;
  #ids = 0;
  #ended = false;
  #commands: LeaseCommand[] = [];

  constructor(options: LeaseEngineOptions) {
    this.#options = options;
    this.#order = new EndpointOrder(options.endpoints, options.ttlMs);
    this.#marginMs = Math.min(options.electionTimeoutMs, options.ttlMs / 3);
    this.#deadline = options.sentAt + options.ttlMs - this.#marginMs;
    this.#beatAt = options.sentAt + options.ttlMs / 3;
  }

  /** true while its holder may act on it. */
  isHeld(now: Instant): boolean {
    return !this.#ended && now < this.#deadline;
  }

  /** When the engine wants a tick; undefined: never again. */
  get wakeAt(): Instant | undefined {
    if (this.#ended) return undefined;
    return Math.min(this.#deadline, this.#pending?.answerBy ?? this.#beatAt);
  }

  step(input: LeaseInput, now: Instant): readonly LeaseCommand[] {
    if (this.#ended) return [];
    this.#commands = [];
    if (input.kind === "release") this.#end(now);
    else if (now >= this.#deadline) this.#lose("no keepalive was answered in time", now);
    else this.#take(input, now);
    return this.#commands;
  }

  #take(input: Exclude<LeaseInput, { kind: "release" }>, now: Instant): void {
    switch (input.kind) {
      case "start":
        return;
      case "acked":
        if (this.#stream?.id === input.stream) this.#acked(input.ttlMs, now);
        return;
      case "failed":
        if (this.#stream?.id === input.stream) this.#fail(this.#stream, now);
        return;
      case "tick":
        this.#tick(now);
        return;
      default:
        assertNever(input);
    }
  }

  #acked(ttlMs: number, now: Instant): void {
    const pending = this.#pending;
    if (ttlMs <= 0) {
      this.#lose("the store let it go", now);
    } else if (pending !== undefined) {
      this.#pending = undefined;
      this.#attempts = 0;
      this.#deadline = pending.sentAt + ttlMs - this.#marginMs;
      this.#beatAt = pending.sentAt + this.#options.ttlMs / 3;
    }
  }

  #tick(now: Instant): void {
    const stream = this.#stream;
    if (stream !== undefined && this.#pending !== undefined) {
      if (now >= this.#pending.answerBy) this.#fail(stream, now);
    } else if (now >= this.#beatAt) {
      this.#beat(now);
    }
  }

  #beat(now: Instant): void {
    if (this.#stream === undefined) {
      this.#stream = { id: this.#ids++, endpoint: this.#order.choose(now) };
      const { id, endpoint } = this.#stream;
      this.#commands.push({ kind: "open", stream: id, endpoint });
    }
    const answerMs = Math.min(3_000, this.#options.ttlMs / 6);
    this.#pending = { sentAt: now, answerBy: now + answerMs };
    this.#commands.push({ kind: "keepalive", stream: this.#stream.id });
  }

  #fail(stream: Stream, now: Instant): void {
    const { ttlMs, random } = this.#options;
    this.#commands.push({ kind: "close", stream: stream.id });
    this.#order.failed(stream.endpoint, now);
    this.#stream = undefined;
    this.#pending = undefined;
    const backoff = { baseMs: ttlMs / 60, capMs: ttlMs / 12 };
    // Never later than the next regular beat would have been asked for by the deadline: the cap is a twelfth.
    this.#beatAt = now + fullJitterMs(this.#attempts++, backoff, random);
  }

  #lose(reason: string, now: Instant): void {
    this.#commands.push({ kind: "lost", reason });
    this.#end(now);
  }

  #end(now: Instant): void {
    this.#ended = true;
    if (this.#stream !== undefined) this.#commands.push({ kind: "close", stream: this.#stream.id });
    this.#commands.push({ kind: "revoke", endpoint: this.#order.choose(now) });
  }
}
