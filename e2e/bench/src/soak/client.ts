// One request of the soak over plain HTTP, by its plan; takes every byte of what comes back, and how it ended.

import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { localKey } from "@meridian/harness";
import { machineMs } from "../policy/fan-out-messages.ts";
import type { Plan } from "./plan.ts";
import { promptOf } from "./script.ts";

/** Longer than any request of the soak takes. */
const requestMs = 60_000;

export type Observation = {
  /** undefined: no head came. */
  readonly status: number | undefined;
  readonly body: string;
  /** The body's end came as HTTP says it must: its last chunk, or all of its length. */
  readonly isWhole: boolean;
  /** The client has left, then; machine's clock. */
  readonly leftAtMs: number | undefined;
  /** All that it meant to send was with the kernel when it left: the proxy gets to see it. */
  readonly isSent: boolean;
  /** Nothing had come to an end when the limit was reached. */
  readonly isOverdue: boolean;
  readonly error: string | undefined;
};

export type ClientOptions = { readonly port: number; readonly agent: Agent };

/** Resolves at the answer's end, the client's leaving, or the time limit. Never rejects. */
export function ask(plan: Plan, options: ClientOptions): Promise<Observation> {
  return new Promise((resolve) => new SoakClient(plan, options, resolve).start());
}

class SoakClient {
  readonly #plan: Plan;
  readonly #options: ClientOptions;
  readonly #resolve: (seen: Observation) => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #body = "";
  #events = 0;
  #leftAtMs: number | undefined;
  #isSent = true;
  #isOverdue = false;
  #isDone = false;

  constructor(plan: Plan, options: ClientOptions, resolve: (seen: Observation) => void) {
    this.#plan = plan;
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    const { agent, port } = this.#options;
    const body = bodyOf(this.#plan);
    const asked = request({
      agent,
      host: "127.0.0.1",
      port,
      method: "POST",
      path: "/v1/chat/completions",
      headers: {
        "content-type": "application/json",
        "content-length": body.length,
        authorization: `Bearer ${localKey}`,
      },
    });
    this.#request = asked;
    asked.on("response", (response) => this.#read(response));
    asked.on("error", (error) => this.#end(false, error.message));
    this.#after(requestMs, () => {
      this.#isOverdue = true;
      this.#leave();
    });
    this.#upload(asked, body);
  }

  #upload(asked: ClientRequest, body: Buffer): void {
    const { behaviour } = this.#plan;
    const half = body.length >> 1;
    switch (behaviour.kind) {
      case "leave-in-upload":
        asked.write(body.subarray(0, half));
        this.#after(behaviour.afterMs, () => this.#leave());
        return;
      case "upload-slowly":
        asked.write(body.subarray(0, half));
        this.#after(300, () => asked.end(body.subarray(half)));
        return;
      case "leave-before-answer":
        asked.end(body);
        this.#after(behaviour.afterMs, () => this.#leave());
        return;
      default:
        asked.end(body);
    }
  }

  #read(response: IncomingMessage): void {
    const { behaviour } = this.#plan;
    this.#response = response;
    response.setEncoding("utf8");
    response.on("data", (text: string) => this.#take(text));
    response.on("end", () => this.#end(response.complete, undefined));
    response.on("error", (error) => this.#end(false, error.message));
    if (behaviour.kind !== "read-slowly" && behaviour.kind !== "leave-while-paused") return;
    response.pause();
    this.#after(behaviour.pauseMs, () => {
      if (behaviour.kind === "read-slowly") response.resume();
      else this.#leave();
    });
  }

  #take(text: string): void {
    this.#body += text;
    const { behaviour } = this.#plan;
    if (behaviour.kind !== "leave-after-tokens") return;
    this.#events += text.split("\n\n").length - 1;
    // The first event carries the role alone.
    if (this.#events > behaviour.tokens) this.#leave();
  }

  #leave(): void {
    const socket = this.#request?.socket;
    this.#isSent = socket?.connecting === false && socket.writableLength === 0;
    this.#leftAtMs = machineMs();
    this.#request?.destroy();
    this.#end(false, undefined);
  }

  #end(isWhole: boolean, error: string | undefined): void {
    if (this.#isDone) return;
    this.#isDone = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#resolve({
      status: this.#response?.statusCode,
      body: this.#body,
      isWhole,
      leftAtMs: this.#leftAtMs,
      isSent: this.#isSent,
      isOverdue: this.#isOverdue,
      error,
    });
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#isDone) act();
    }, ms);
    this.#timers.add(timer);
  }
}

function bodyOf(plan: Plan): Buffer {
  const { asksUsage, model, paddingBytes, script, stream } = plan;
  return Buffer.from(
    JSON.stringify({
      model,
      stream,
      // How late is too late for a whole answer follows from how long it may be. The upstream goes by its script.
      ...(stream ? {} : { max_tokens: 10 }),
      ...(stream && asksUsage ? { stream_options: { include_usage: true } } : {}),
      messages: [{ role: "user", content: promptOf(script, paddingBytes) }],
    }),
  );
}
