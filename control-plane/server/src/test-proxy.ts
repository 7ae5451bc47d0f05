// For tests: a proxy's side of the sync lanes, answered by hand.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { assert } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import {
  type Answer,
  type Answer_ExplanationSchema,
  AnswerSchema,
  NodeSchema,
  type PolicyPush,
  type PolicyRequest,
  PolicyRequestSchema,
  type Question,
  type ReportAck,
  type ReportFrame,
  ReportFrameSchema,
  type StateFrame,
  SyncService,
} from "@meridian/proto/gen/sync_pb";
import { applyPush } from "@meridian/proto/snapshot";
import { openBidiStream, openServerStream } from "./test-calls.ts";

const { method } = SyncService;

/** What came on a stream, in order, for whoever waits for the next. */
export class Inbox<T> {
  readonly items: T[] = [];
  ended: ServiceError | "end" | undefined;
  #taken = 0;
  #wake = Promise.withResolvers<void>();

  add(item: T): void {
    this.items.push(item);
    this.#notify();
  }

  end(reason: ServiceError | "end"): void {
    this.ended ??= reason;
    this.#notify();
  }

  /** The next one that nobody has taken yet. */
  async next(timeoutMs = 5_000): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    while (this.items.length <= this.#taken) {
      if (this.ended !== undefined) throw new Error(`the stream ended: ${String(this.ended)}`);
      if (!(await this.#wait(deadline))) throw new Error(`nothing came within ${timeoutMs} ms`);
    }
    const item = this.items[this.#taken++];
    assert(item !== undefined, "counted above");
    return item;
  }

  /** How the stream ended. */
  async finish(timeoutMs = 5_000): Promise<ServiceError | "end"> {
    const deadline = performance.now() + timeoutMs;
    while (this.ended === undefined) {
      if (!(await this.#wait(deadline))) throw new Error(`no end within ${timeoutMs} ms`);
    }
    return this.ended;
  }

  get waiting(): number {
    return this.items.length - this.#taken;
  }

  async #wait(deadline: number): Promise<boolean> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, Math.max(0, deadline - performance.now()));
    await Promise.race([this.#wake.promise, late.promise]);
    clearTimeout(timer);
    return performance.now() < deadline;
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

export class TestProxy {
  readonly node: { readonly id: string; readonly region: string; readonly build: string };
  readonly pushes = new Inbox<PolicyPush>();
  held: Snapshot | undefined;
  readonly #client: Client;
  #policy: ClientDuplexStream<PolicyRequest, PolicyPush> | undefined;

  constructor(client: Client, region: string, id: string) {
    this.#client = client;
    this.node = { id, region, build: "test" };
  }

  /** Opens the policy stream and says what is held. */
  hello(): void {
    this.#policy = openBidiStream(this.#client, method.policy);
    listen(this.#policy, this.pushes);
    const held = this.held;
    const says = held?.version === undefined ? {} : { held: held.version, heldHash: held.hash };
    this.#send({ case: "hello", value: { node: this.node, ...says } });
  }

  /** Takes a push as a proxy does, and acknowledges it. */
  accept(push: PolicyPush): Snapshot {
    const applied = applyPush(this.held, push);
    if (applied.kind === "err") throw new Error(JSON.stringify(applied.error));
    this.held = applied.value;
    this.ack(push);
    return applied.value;
  }

  ack({ version, hash }: Pick<PolicyPush, "version" | "hash">): void {
    this.#send({ case: "ack", value: { ...(version === undefined ? {} : { version }), hash } });
  }

  nack({ version }: Pick<PolicyPush, "version">, code: string): void {
    const problems = [{ code, path: "x", message: "refused by a test", hint: "" }];
    this.#send({
      case: "nack",
      value: { ...(version === undefined ? {} : { version }), problems },
    });
  }

  hangUp(): void {
    this.#policy?.cancel();
  }

  /** Reads no push from now on: its flow-control window fills up. */
  stopReading(): void {
    this.#policy?.pause();
  }

  startReading(): void {
    this.#policy?.resume();
  }

  states(): Inbox<StateFrame> {
    const inbox = new Inbox<StateFrame>();
    const stream = openServerStream(this.#client, method.state, { node: this.node });
    listen(stream, inbox);
    return inbox;
  }

  reports(): { readonly acks: Inbox<ReportAck>; readonly send: (frame: ReportInit) => void } {
    const acks = new Inbox<ReportAck>();
    const stream: ClientDuplexStream<ReportFrame, ReportAck> = openBidiStream(
      this.#client,
      method.report,
    );
    listen(stream, acks);
    const send = (frame: ReportInit) =>
      void stream.write(
        create(ReportFrameSchema, { ...frame, node: create(NodeSchema, this.node) }),
      );
    return { acks, send };
  }

  /** Opens the lane of questions, and says who answers. */
  questions(): {
    readonly inbox: Inbox<Question>;
    readonly answer: (question: Question, explanation: ExplanationInit) => void;
    readonly hangUp: () => void;
  } {
    const inbox = new Inbox<Question>();
    const stream: ClientDuplexStream<Answer, Question> = openBidiStream(
      this.#client,
      method.questions,
    );
    listen(stream, inbox);
    stream.write(create(AnswerSchema, { kind: { case: "hello", value: this.node } }));
    return {
      inbox,
      answer: (question, value) => {
        const kind = { case: "explanation", value } as const;
        stream.write(create(AnswerSchema, { question: question.id, kind }));
      },
      hangUp: () => stream.cancel(),
    };
  }

  #send(kind: NonNullable<Parameters<typeof create<typeof PolicyRequestSchema>>[1]>["kind"]): void {
    this.#policy?.write(create(PolicyRequestSchema, kind === undefined ? {} : { kind }));
  }
}

export type ReportInit = NonNullable<Parameters<typeof create<typeof ReportFrameSchema>>[1]>;

export type ExplanationInit = MessageInitShape<typeof Answer_ExplanationSchema>;

function listen<T>(
  stream: {
    on(event: "data", listener: (item: T) => void): unknown;
    on(event: "error", listener: (cause: ServiceError) => void): unknown;
    on(event: "end", listener: () => void): unknown;
  },
  inbox: Inbox<T>,
): void {
  stream.on("data", (item: T) => inbox.add(item));
  stream.on("error", (cause: ServiceError) => inbox.end(cause));
  stream.on("end", () => inbox.end("end"));
}
