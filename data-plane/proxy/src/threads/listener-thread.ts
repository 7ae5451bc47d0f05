// A listener thread: serves on the ports that its siblings serve on, and does what the main thread says.

import { randomUUID } from "node:crypto";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { openCallBuffers } from "@meridian/data-core/engine";
import { GivenSlots, openLoadBuffers } from "@meridian/data-core/load";
import { assert, assertNever, type Clock, seededRandom } from "@meridian/proto/base";
import { type DecisionRecord, DecisionRecordSchema } from "@meridian/proto/gen/decision_pb";
import { SnapshotSchema } from "@meridian/proto/gen/snapshot_pb";
import { StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import type { Logger } from "pino";
import { ListenError, within } from "../lifecycle.ts";
import { createLogger, createMetrics, type ProxyMetrics } from "../telemetry.ts";
import { createListener, diskMs, type Listener, type Prepared } from "./listener.ts";
import {
  type Answer,
  type FromThread,
  ownClockZeroMs,
  type Question,
  type ThreadStart,
  type ToThread,
} from "./messages.ts";

class ListenerThread {
  readonly #main: MessagePort;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: ProxyMetrics;
  readonly #slots = new GivenSlots();
  readonly #listener: Listener;
  #prepared: Prepared | undefined;

  constructor(start: ThreadStart, main: MessagePort) {
    const { settings, thread, threads, tls } = start;
    const { id, logLevel: level, region } = settings;
    this.#main = main;
    this.#clock = alignedClock(start.clockZeroMs);
    this.#logger = createLogger({ level, id, region, thread });
    this.#metrics = createMetrics(region);
    const load = openLoadBuffers(start.load, { count: threads, own: thread });
    this.#listener = createListener({
      settings,
      tls: { ca: Buffer.from(tls.ca), cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) },
      clock: this.#clock,
      random: seededRandom(randomUUID()),
      logger: this.#logger,
      metrics: this.#metrics,
      decisions: {
        name: `thread-${thread}`,
        recordsMax: Math.ceil(settings.decisionsMax / threads),
      },
      shared: { load: { ...load, slots: this.#slots }, calls: openCallBuffers(start.calls) },
      onHealthChange: (target, change) => this.#say({ kind: "health", target, change }),
    });
  }

  obey(message: ToThread): void {
    switch (message.kind) {
      case "listen":
        this.#listen(message);
        return;
      case "prepare":
        this.#prepare(message);
        return;
      case "switch":
        this.#switch(message.activation);
        return;
      case "abort":
        this.#prepared?.abort();
        this.#prepared = undefined;
        return;
      case "observe":
        this.#listener.observe(fromBinary(StateFrameSchema, message.frame));
        return;
      case "verdicts":
        this.#listener.engine.apply(message, this.#clock.now());
        return;
      case "hear":
        this.#listener.engine.hear(message.target, message.change, this.#clock.now());
        return;
      case "ask":
        this.#answer(message.question, message.about);
        return;
      case "drain":
        this.#listener.server.beginDrain().then(() => this.#say({ kind: "drained" }), raise);
        return;
      case "close":
        this.#close().then(() => this.#say({ kind: "closed" }), raise);
        return;
      default:
        assertNever(message);
    }
  }

  #listen(message: Extract<ToThread, { kind: "listen" }>): void {
    this.#listener.listen(message, true).then(
      ({ clients = "", peers = "" }) => this.#say({ kind: "listening", clients, peers }),
      (cause: unknown) => {
        if (!(cause instanceof ListenError)) raise(cause);
        else this.#say({ kind: "not-listening", message: cause.message });
      },
    );
  }

  #prepare(message: Extract<ToThread, { kind: "prepare" }>): void {
    const { activation, claims, fresh } = message;
    this.#slots.give(claims, fresh);
    const prepared = this.#listener.prepare(fromBinary(SnapshotSchema, message.snapshot));
    if (prepared.kind === "err") {
      this.#say({ kind: "refused", activation, problems: prepared.error });
      return;
    }
    this.#prepared = prepared.value;
    this.#say({ kind: "prepared", activation });
  }

  #switch(activation: number): void {
    assert(this.#prepared !== undefined, "a thread switches to what it prepared");
    this.#prepared.commit();
    this.#prepared = undefined;
    this.#say({ kind: "switched", activation });
  }

  #answer(question: number, about: Question): void {
    this.#find(about).then(
      (answer) => this.#say({ kind: "answer", question, answer }),
      (cause: unknown) => this.#say({ kind: "failed", question, message: String(cause) }),
    );
  }

  async #find(about: Question): Promise<Answer> {
    const { decisions } = this.#listener;
    switch (about.kind) {
      case "counted": {
        const metrics = await this.#metrics.counted();
        return { kind: "counted", metrics, decisionsDropped: decisions.dropped() };
      }
      case "find": {
        const { records, oldestMs } = await decisions.find(about.id);
        return { kind: "records", records: encode(records), oldestMs };
      }
      case "latest":
        return {
          kind: "records",
          records: encode(await decisions.latest(about.recordsMax)),
          oldestMs: 0,
        };
      default:
        return assertNever(about);
    }
  }

  /** Log lines too are out before the main thread may end the process. */
  async #close(): Promise<void> {
    await within(diskMs, this.#listener.close());
    await within(diskMs, new Promise((resolve) => this.#logger.flush(resolve)));
  }

  #say(message: FromThread): void {
    this.#main.postMessage(message);
  }
}

/** Counts from the main thread's zero: instants in shared memory mean the same to every thread. */
function alignedClock(clockZeroMs: number): Clock {
  const aheadMs = ownClockZeroMs() - clockZeroMs;
  return { now: () => performance.now() + aheadMs, wall: () => Date.now() };
}

function encode(records: readonly DecisionRecord[]): readonly Uint8Array[] {
  return records.map((each) => toBinary(DecisionRecordSchema, each));
}

/** What must not happen ends the thread, and with it the process. */
function raise(cause: unknown): void {
  process.nextTick(() => {
    throw cause;
  });
}

assert(parentPort !== null, "a listener thread has a main thread");
// The main thread starts this file with a ThreadStart, and says nothing but ToThread.
const self = new ListenerThread(workerData as ThreadStart, parentPort);
parentPort.on("message", (message: ToThread) => self.obey(message));
