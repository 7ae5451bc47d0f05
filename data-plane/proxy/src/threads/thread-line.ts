// The main thread's line to one listener thread: what is said, what is asked with a deadline, and its end, which is the
// program's: a proxy does not go on half.

import { Worker } from "node:worker_threads";
import { assert } from "@meridian/proto/base";
import type { Answer, FromThread, Question, ThreadStart, ToThread } from "./messages.ts";

export type LineOptions = {
  readonly start: ThreadStart;
  /** Everything that it says of itself, but for answers. */
  readonly heard: (message: Exclude<FromThread, { kind: "answer" | "failed" }>) => void;
  /** It ended, though nobody closed it. */
  readonly died: (cause: unknown) => void;
};

/** A thread that does not answer for so long hangs. */
const answerMs = 5_000;

type Waiting = {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (cause: Error) => void;
  readonly timer: NodeJS.Timeout;
};

export class ThreadLine {
  readonly #options: LineOptions;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#worker = new Worker(new URL("listener-thread.ts", import.meta.url), {
      name: `listener ${options.start.thread}`,
      workerData: options.start,
    });
    this.#worker.on("message", (message: FromThread) => this.#take(message));
    this.#worker.on("error", (cause) => options.died(cause));
    this.#worker.on("exit", (code) => options.died(`exit code ${code}`));
  }

  say(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  /** Fails when the thread does, or does not answer in time. */
  ask(about: Question): Promise<Answer> {
    const question = this.#questions++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(question);
        reject(new Error(`listener thread ${this.#options.start.thread} does not answer`));
      }, answerMs);
      this.#waiting.set(question, { resolve, reject, timer });
      this.say({ kind: "ask", question, about });
    });
  }

  #take(message: FromThread): void {
    if (message.kind !== "answer" && message.kind !== "failed") {
      this.#options.heard(message);
      return;
    }
    const waiting = this.#waiting.get(message.question);
    if (waiting === undefined) return;
    this.#waiting.delete(message.question);
    clearTimeout(waiting.timer);
    if (message.kind === "answer") waiting.resolve(message.answer);
    else waiting.reject(new Error(message.message));
  }
}

/** The answer of the form that the question asks for. */
export function expectAnswer<K extends Answer["kind"]>(
  answer: Answer,
  kind: K,
): Extract<Answer, { kind: K }> {
  assert(isOfKind(answer, kind), `a thread answers ${kind} when asked for it`);
  return answer;
}

function isOfKind<K extends Answer["kind"]>(
  answer: Answer,
  kind: K,
): answer is Extract<Answer, { kind: K }> {
  return answer.kind === kind;
}
