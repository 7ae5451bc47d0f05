// Listener threads, seen from the main thread: it starts them, gives them policy and state, passes on what one learns
// to its siblings, and adds up what they count. Its own engine serves nobody: it reads the shared load.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createCallBuffers, createEngine, openCallBuffers } from "@meridian/data-core/engine";
import { createLoadBuffers, openLoadBuffers, SlotKeeper } from "@meridian/data-core/load";
import type { RegionPaths } from "@meridian/data-core/locality";
import { assertNever } from "@meridian/proto/base";
import { DecisionRecordSchema } from "@meridian/proto/gen/decision_pb";
import { StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import { type FoundDecisions, foundMax } from "../decisions/index.ts";
import { within } from "../lifecycle.ts";
import { BackendSight } from "./backend-sight.ts";
import type { ListenerParts, Listeners } from "./listeners.ts";
import { type FromThread, ownClockZeroMs, type Question, type ThreadStart } from "./messages.ts";
import { SharedPolicy } from "./shared-policy.ts";
import { SharedPorts } from "./shared-ports.ts";
import { expectAnswer, ThreadLine } from "./thread-line.ts";

/** Every thread ends its own waits sooner. */
const closeMs = 8_000;

export function serveInThreads(parts: ListenerParts, threads: number): Listeners {
  const served = new ServingThreads(parts, threads);
  const { clock } = parts;
  return {
    activate: (snapshot, answer) => served.policy.offer(snapshot, answer),
    observe: (frame) => {
      served.engine.apply({ kind: "state", frame }, clock.now());
      served.sayToAll({ kind: "observe", frame: toBinary(StateFrameSchema, frame) });
    },
    judge: (verdicts) => {
      const change = { kind: "verdicts", verdicts } as const;
      served.engine.apply(change, clock.now());
      served.sayToAll(change);
    },
    report: () => served.engine.report(clock.now()),
    requestsByThread: () => served.totals.requestsByStripe(),
    listen: () => served.ports.open(),
    beginDrain: () => served.everyone("drained", { kind: "drain" }),
    close: async () => {
      await within(closeMs, served.everyone("closed", { kind: "close" }));
    },
    decisions: {
      find: (id) => served.find(id),
      latest: async (recordsMax) => {
        const { records } = await served.records({ kind: "latest", recordsMax });
        return records.slice(0, recordsMax);
      },
    },
    backends: served.backends,
    paths: served.paths,
    counted: () => served.counted(),
  };
}

class ServingThreads {
  readonly #parts: ListenerParts;
  readonly #lines: readonly ThreadLine[];
  readonly engine;
  readonly backends: BackendSight;
  readonly paths: RegionPaths;
  readonly totals;
  readonly policy: SharedPolicy;
  readonly ports: SharedPorts;
  /** By what they are to say: threads that have not yet, and who waits for all. */
  readonly #missing = new Map<"drained" | "closed", { threads: Set<number>; done: () => void }>();
  #isClosing = false;

  constructor(parts: ListenerParts, threads: number) {
    this.#parts = parts;
    const { clock, random, settings, tls } = parts;
    const load = createLoadBuffers(threads);
    const own = openLoadBuffers(load, { count: threads, own: 0 });
    const { table, totals } = own;
    const buffers = createCallBuffers(table.slots);
    const calls = openCallBuffers(buffers);
    const keeper = new SlotKeeper(table, { shared: true });
    this.totals = totals;
    this.engine = createEngine({
      region: settings.region,
      random: random.fork("engine"),
      load: { ...own, slots: keeper },
      calls,
    });
    this.paths = calls.paths;
    this.backends = new BackendSight({ engine: this.engine, load: table, calls });
    const start = { settings, tls, threads, clockZeroMs: ownClockZeroMs(), load, calls: buffers };
    this.#lines = Array.from({ length: threads }, (_, thread) => this.#open({ ...start, thread }));
    this.policy = new SharedPolicy({
      threads,
      keeper,
      clock,
      prepare: (snapshot) => this.engine.prepare(snapshot),
      say: (message) => this.sayToAll(message),
      hangs: () => this.#end("a listener thread does not take a policy"),
    });
    this.ports = new SharedPorts({
      threads,
      settings,
      say: (thread, message) => this.#lines[thread]?.say(message),
    });
  }

  sayToAll(message: Parameters<ThreadLine["say"]>[0]): void {
    for (const line of this.#lines) line.say(message);
  }

  /** Says it to every thread; resolves when the last one has given its word. */
  everyone(
    word: "drained" | "closed",
    message: { readonly kind: "drain" | "close" },
  ): Promise<void> {
    if (message.kind === "close") this.#isClosing = true;
    return new Promise((done) => {
      this.#missing.set(word, { threads: new Set(this.#lines.keys()), done });
      this.sayToAll(message);
    });
  }

  async counted(): Promise<Awaited<ReturnType<Listeners["counted"]>>> {
    const answers = await Promise.all(this.#lines.map((line) => line.ask({ kind: "counted" })));
    const counted = answers.map((each) => expectAnswer(each, "counted"));
    return {
      metrics: counted.map((each) => each.metrics),
      decisionsDropped: counted.reduce((sum, each) => sum + each.decisionsDropped, 0),
    };
  }

  /** A request has its record with the thread that served it, and one request id may have come to several. */
  async records(about: Extract<Question, { kind: "find" | "latest" }>): Promise<FoundDecisions> {
    const answers = await Promise.all(this.#lines.map((line) => line.ask(about)));
    const found = answers.map((each) => expectAnswer(each, "records"));
    const records = found
      .flatMap((each) => each.records)
      .map((bytes) => fromBinary(DecisionRecordSchema, bytes))
      .sort((a, b) => Number(b.arrivedMs - a.arrivedMs));
    const oldest = found.map((each) => each.oldestMs).filter((each) => each > 0);
    return { records, oldestMs: oldest.length === 0 ? 0 : Math.min(...oldest) };
  }

  async find(id: string): Promise<FoundDecisions> {
    const { records, oldestMs } = await this.records({ kind: "find", id });
    return { records: records.slice(0, foundMax), oldestMs };
  }

  #open(start: ThreadStart): ThreadLine {
    return new ThreadLine({
      start,
      heard: (message) => this.#heard(start.thread, message),
      died: (cause) => {
        if (!this.#isClosing) this.#end(`listener thread ${start.thread} died`, cause);
      },
    });
  }

  #heard(thread: number, message: Exclude<FromThread, { kind: "answer" | "failed" }>): void {
    switch (message.kind) {
      case "listening":
      case "not-listening":
        this.ports.heard(thread, message);
        return;
      case "prepared":
      case "switched":
        this.policy.heard({ ...message, thread });
        return;
      case "refused":
        this.policy.heard(message);
        return;
      case "health": {
        const { change, target } = message;
        this.engine.hear(target, change, this.#parts.clock.now());
        for (const [other, line] of this.#lines.entries()) {
          if (other !== thread) line.say({ kind: "hear", target, change });
        }
        return;
      }
      case "drained":
      case "closed": {
        const missing = this.#missing.get(message.kind);
        missing?.threads.delete(thread);
        if (missing?.threads.size === 0) missing.done();
        return;
      }
      default:
        assertNever(message);
    }
  }

  /** Serving on with a part of the threads would be a fault that nobody sees: a supervisor starts the whole anew. */
  #end(what: string, cause?: unknown): void {
    const detail = cause instanceof Error ? (cause.stack ?? String(cause)) : cause;
    this.#parts.logger.fatal({ cause: detail }, what);
    process.exit(1);
  }
}
