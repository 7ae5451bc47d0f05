// What operators ask of proxies. Each proxy keeps a stream open for it; a question goes to all of them at once and waits
// for each, but not for long: whoever is late is named in the answer.

import { create, toBinary } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { ProxyNode } from "@meridian/control-core/fleet";
import { type Answer, type Answer_Explanation, QuestionSchema } from "@meridian/proto/gen/sync_pb";
import { type CallRefusal, identify, refuse } from "../grpc/caller.ts";
import { fleetFull, nodeOf } from "./proxy-node.ts";

export type QuestionCall = ServerDuplexStream<Answer, Buffer>;

/** What one proxy said, or why it said nothing. */
export type ProxyAnswer = { readonly node: ProxyNode } & (
  | { readonly kind: "explained"; readonly explanation: Answer_Explanation }
  | { readonly kind: "silent"; readonly reason: string }
);

/** A proxy answers from memory and a small file. */
export const answerMs = 2_000;

const streamsMax = 4_000;
/** Questions that one proxy may owe an answer to; further ones are not sent. */
const owedMax = 8;

type Owed = (answer: ProxyAnswer) => void;

type Line = {
  readonly call: QuestionCall;
  readonly node: ProxyNode;
  readonly owed: Map<bigint, Owed>;
};

export class QuestionLane {
  /** Every open stream; those that have said who they are have a line too. */
  readonly #calls = new Set<QuestionCall>();
  readonly #lines = new Map<string, Line>();
  #questions = 0n;

  get streams(): number {
    return this.#calls.size;
  }

  serve(call: QuestionCall): void {
    const caller = identify(call, ["proxy"]);
    if (caller.kind === "err") {
      fail(call, caller.error);
      return;
    }
    if (this.#calls.size >= streamsMax) {
      fail(call, fleetFull);
      return;
    }
    const { region } = caller.value;
    let line: Line | undefined;
    this.#calls.add(call);
    const gone = () => {
      this.#calls.delete(call);
      if (line !== undefined) this.#hangUp(line, "its stream ended");
    };
    call.on("data", (answer: Answer) => {
      if (line === undefined) line = this.#greet(call, answer, region);
      else take(line, answer);
    });
    call.on("end", () => {
      gone();
      call.end();
    });
    call.on("cancelled", gone);
    call.on("error", gone);
  }

  /** Asks every proxy; one answer each, sorted by region and id. */
  async ask(explain: string): Promise<readonly ProxyAnswer[]> {
    const lines = [...this.#lines].sort(([a], [b]) => (a < b ? -1 : 1));
    return await Promise.all(lines.map(([, line]) => this.#askOne(line, explain)));
  }

  close(): void {
    const refusal = { code: status.UNAVAILABLE, details: "the control plane is stopping" };
    for (const call of [...this.#calls]) fail(call, refusal);
  }

  /** A proxy that comes anew has given up its former stream, even where that has not been noticed yet. */
  #greet(call: QuestionCall, answer: Answer, region: string): Line | undefined {
    const node =
      answer.kind.case === "hello"
        ? nodeOf(answer.kind.value, region)
        : refuse(status.INVALID_ARGUMENT, "the first message says who answers");
    if (node.kind === "err") {
      fail(call, node.error);
      return undefined;
    }
    const line = { call, node: node.value, owed: new Map<bigint, Owed>() };
    const former = this.#lines.get(keyOf(line));
    if (former !== undefined) {
      this.#hangUp(former, "it connected anew");
      const details = "the same proxy has opened another stream";
      fail(former.call, { code: status.ABORTED, details });
    }
    this.#lines.set(keyOf(line), line);
    return line;
  }

  #hangUp(line: Line, reason: string): void {
    if (this.#lines.get(keyOf(line)) === line) this.#lines.delete(keyOf(line));
    for (const settle of line.owed.values()) settle({ kind: "silent", node: line.node, reason });
    line.owed.clear();
  }

  #askOne(line: Line, explain: string): Promise<ProxyAnswer> {
    const { call, node, owed } = line;
    if (owed.size >= owedMax) {
      const reason = "it owes answers to as many questions as it may";
      return Promise.resolve({ kind: "silent", node, reason });
    }
    this.#questions += 1n;
    const id = this.#questions;
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        owed.delete(id);
        resolve({ kind: "silent", node, reason: `no answer within ${answerMs} ms` });
      }, answerMs);
      owed.set(id, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
      const bytes = toBinary(QuestionSchema, create(QuestionSchema, { id, explain }));
      call.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    });
  }
}

/** An answer to nothing is one that came too late. */
function take({ node, owed }: Line, { kind, question }: Answer): void {
  const settle = owed.get(question);
  if (settle === undefined || kind.case !== "explanation") return;
  owed.delete(question);
  settle({ kind: "explained", node, explanation: kind.value });
}

function keyOf({ node }: Line): string {
  return `${node.region}/${node.id}`;
}

function fail(call: QuestionCall, refusal: CallRefusal): void {
  call.emit("error", Object.assign(new Error(refusal.details), refusal));
}
