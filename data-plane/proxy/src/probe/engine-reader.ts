// Reads what model servers say of their queues, and writes it where choices are made. Beside serving and never in its
// way: a server that tells nothing is one whose queue is not known.

import { ReadingPlan, type ReadingResult, readEngineLoad } from "@meridian/data-core/probe";
import type { Clock, Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { readSnapshot } from "@meridian/proto/snapshot";
import { Agent } from "undici";
import type { BackendSight } from "../threads/backend-sight.ts";

export type EngineReaderOptions = {
  readonly clock: Clock;
  readonly random: Random;
  readonly backends: Pick<BackendSight, "inFlight" | "note">;
};

/** A backend whose metrics may be read. */
export type ReadBackend = {
  readonly name: string;
  readonly origin: string;
  readonly metricsPath: string | undefined;
};

/** Grow from the start, never fall. */
export type ReadingCounts = {
  /** Readings that told a load. */
  readonly told: number;
  /** Answers without one. */
  readonly silent: number;
  readonly failed: number;
};

const tickMs = 100;
/** What it takes longer to tell is old by then. */
const readingLimitMs = 2_000;
const bytesMax = 262_144;

type Counts = { -readonly [K in keyof ReadingCounts]: ReadingCounts[K] };

export class EngineReader {
  readonly #options: EngineReaderOptions;
  readonly #plan: ReadingPlan;
  readonly #agent = new Agent({ connections: 1, pipelining: 1, keepAliveTimeout: 30_000 });
  readonly #closing = new AbortController();
  readonly #counts = new Map<string, Counts>();
  #backends = new Map<string, { readonly origin: string; readonly path: string }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EngineReaderOptions) {
    this.#options = options;
    this.#plan = new ReadingPlan(options.random);
  }

  /** A snapshot came into force. */
  take(snapshot: Snapshot): void {
    const view = readSnapshot(snapshot);
    // The engine has read it before.
    if (view.kind === "err") return;
    this.arrange(view.value.backends.map((each) => ({ ...each, origin: each.url })));
  }

  /** Those without a path are left alone. */
  arrange(backends: readonly ReadBackend[]): void {
    this.#backends = new Map(
      backends.flatMap(({ name, origin, metricsPath: path }) =>
        path === undefined ? [] : [[name, { origin, path }] as const],
      ),
    );
    for (const name of this.#counts.keys()) {
      if (!this.#backends.has(name)) this.#counts.delete(name);
    }
    this.#plan.arrange([...this.#backends.keys()]);
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
  }

  /** By backend, for those that were asked. */
  counts(): ReadonlyMap<string, ReadingCounts> {
    return this.#counts;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#agent.destroy();
  }

  #tick(): void {
    const { backends, clock } = this.#options;
    for (const name of this.#plan.due((each) => backends.inFlight(each), clock.now())) {
      // Whatever went wrong, nothing is known.
      this.#read(name).then(
        (result) => this.#ended(name, result),
        () => this.#ended(name, { kind: "failed" }),
      );
    }
  }

  #ended(name: string, result: ReadingResult): void {
    if (this.#closing.signal.aborted) return;
    const counts = this.#counts.get(name) ?? { told: 0, silent: 0, failed: 0 };
    counts[result.kind === "read" ? "told" : result.kind] += 1;
    this.#counts.set(name, counts);
    this.#plan.ended(name, result, this.#options.clock.now());
  }

  async #read(name: string): Promise<ReadingResult> {
    const { backends, clock } = this.#options;
    const backend = this.#backends.get(name);
    if (backend === undefined) return { kind: "failed" };
    // What it tells was so when it was asked, or later.
    const askedAt = clock.now();
    const text = await this.#ask(backend.origin, backend.path);
    const load = text === undefined ? undefined : readEngineLoad(text);
    if (load === undefined) return { kind: "silent" };
    backends.note(name, load, askedAt);
    const { running, waiting } = load;
    return { kind: "read", requests: running === undefined ? waiting : running + (waiting ?? 0) };
  }

  /** undefined: it answered, and has nothing of the kind. */
  async #ask(origin: string, path: string): Promise<string | undefined> {
    const signal = AbortSignal.any([AbortSignal.timeout(readingLimitMs), this.#closing.signal]);
    const { statusCode, body } = await this.#agent.request({
      origin,
      path,
      method: "GET",
      headers: { accept: "text/plain" },
      headersTimeout: readingLimitMs,
      bodyTimeout: readingLimitMs,
      signal,
    });
    let text = "";
    for await (const chunk of body) {
      text += String(Buffer.from(chunk).toString("latin1"));
      // Leaving the loop ends the answer. Half a text would tell half a queue.
      if (text.length > bytesMax) return undefined;
    }
    if (statusCode >= 500) throw new Error(`status ${statusCode}`);
    return statusCode === 200 ? text : undefined;
  }
}
