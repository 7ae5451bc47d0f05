// Looks into a running Node program over the inspector protocol: collects its garbage, evaluates in it, counts its
// objects. The program needs no code for it; it is started with `inspectorOption` among its NODE_OPTIONS.
// https://chromedevtools.github.io/devtools-protocol/v8/

import { assert } from "@meridian/proto/base";
import type { Program } from "./program.ts";

/** Among a program's NODE_OPTIONS: it listens for an inspector on a free port of loopback, and says which. */
export const inspectorOption = "--inspect=127.0.0.1:0";

/** What the heap and the process hold, bytes; process.memoryUsage() of the program. */
export type ProgramMemory = {
  readonly rss: number;
  readonly heapTotal: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
};

/** An answer to one command of the protocol takes no longer, milliseconds; a large heap's collection is the slowest. */
const answerMs = 30_000;

type Answer = {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
};
type Evaluation = {
  readonly result: { readonly value?: unknown; readonly objectId?: string };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: unknown };
};
type Waiting = {
  readonly resolve: (result: unknown) => void;
  readonly reject: (cause: Error) => void;
  readonly timer: NodeJS.Timeout;
};

/**
 * Attaches to a running program that was started with `inspectorOption`. Rejects when it was not.
 *
 * @example
 * const inspector = await openInspector(program);
 * await inspector.collectGarbage();
 * const { heapUsed } = await inspector.memory();
 * inspector.close();
 */
export async function openInspector(program: Program): Promise<Inspector> {
  // The line is one of the first; a program that was started again has written it again.
  const url = program
    .logTail(400)
    .match(/Debugger listening on (ws:\S+)/g)
    ?.at(-1)
    ?.replace("Debugger listening on ", "");
  if (url === undefined) throw new Error(`${program.name} listens for no inspector`);
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    const refuse = () => reject(new Error(`${program.name} does not answer at ${url}`));
    socket.addEventListener("error", refuse, { once: true });
  });
  return new Inspector(socket);
}

/** One attachment to one program. The program must not be stopped at a breakpoint. */
export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(String(data)));
    socket.addEventListener("close", () => this.#fail(new Error("the inspector's link closed")));
  }

  /** A whole collection of garbage, compaction included. */
  async collectGarbage(): Promise<void> {
    await this.#ask("HeapProfiler.collectGarbage", {});
  }

  async memory(): Promise<ProgramMemory> {
    // Node's own shape.
    return (await this.evaluate("process.memoryUsage()")) as ProgramMemory;
  }

  /** The value of an expression, awaited if it is a promise; it must be of what JSON can hold. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.#evaluate(expression, { returnByValue: true });
    return result.value;
  }

  /**
   * How many objects of a class are reachable, of those that `filter` takes, a function's expression. Collects garbage
   * first.
   *
   * @example await inspector.countObjects("process.getBuiltinModule('node:net').Socket", "(each) => !each.destroyed")
   */
  async countObjects(classExpression: string, filter = "() => true"): Promise<number> {
    const objectGroup = "counted";
    const shape = await this.#evaluate(`(${classExpression}).prototype`, { objectGroup });
    const { objectId: prototypeObjectId } = shape.result;
    const found = await this.#ask("Runtime.queryObjects", { prototypeObjectId, objectGroup });
    // The protocol's shape of this answer.
    const { objectId } = (found as { readonly objects: { readonly objectId: string } }).objects;
    const count = await this.#ask("Runtime.callFunctionOn", {
      objectId,
      functionDeclaration: `function () { return this.filter(${filter}).length; }`,
      returnByValue: true,
    });
    // What is found would be kept alive by the link.
    await this.#ask("Runtime.releaseObjectGroup", { objectGroup });
    return Number((count as Evaluation).result.value);
  }

  close(): void {
    this.#socket.close();
    this.#fail(new Error("the inspector was closed"));
  }

  async #evaluate(expression: string, more: object): Promise<Evaluation> {
    const params = { expression, awaitPromise: true, ...more };
    // The protocol's shape of this answer.
    const done = (await this.#ask("Runtime.evaluate", params)) as Evaluation;
    if (done.exceptionDetails === undefined) return done;
    throw new Error(`${expression}: ${JSON.stringify(done.exceptionDetails)}`);
  }

  #ask(method: string, params: object): Promise<unknown> {
    assert(this.#socket.readyState === WebSocket.OPEN, "the inspector's link is open");
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`no answer to ${method} within ${answerMs} ms`));
      }, answerMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  #take(text: string): void {
    // The protocol's shape; events, which carry no id, are not asked for.
    const answer = JSON.parse(text) as Answer;
    const waiting = answer.id === undefined ? undefined : this.#waiting.get(answer.id);
    if (answer.id === undefined || waiting === undefined) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if (answer.error === undefined) waiting.resolve(answer.result);
    else waiting.reject(new Error(answer.error.message));
  }

  #fail(cause: Error): void {
    for (const each of this.#waiting.values()) {
      clearTimeout(each.timer);
      each.reject(cause);
    }
    this.#waiting.clear();
  }
}
