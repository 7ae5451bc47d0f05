// Requests without a pause: so many are under way at all times, each by a plan of its own; each is judged when the
// upstreams have had time to notice its end.

import { Agent } from "node:http";
import type { Random } from "@meridian/proto/base";
import { Books } from "./books.ts";
import { ask, type Observation } from "./client.ts";
import { type Case, judge } from "./judge.ts";
import { drawPlan, type Plan } from "./plan.ts";
import type { Upstream } from "./upstream.ts";

/** Until then an upstream may not have heard of a call. */
const judgedAfterMs = 1_000;
/** A call that is open so long after its client's end is one that nobody ends. On a busy machine others take a while. */
const openMsMax = 10_000;
const sweepMs = 100;
/** Complaints that are kept with their words; all are counted. */
const complaintsMax = 20;

type Waiting = { readonly plan: Plan; readonly seen: Observation; readonly endedAt: number };

export type LoadOptions = {
  readonly port: number;
  readonly upstream: Upstream;
  readonly random: Random;
  /** Multiplies the time between tokens; default 1. */
  readonly pace?: number;
  /** Which plans are carried out; the others are passed over. */
  readonly accepts?: (plan: Plan) => boolean;
};

export class Load {
  readonly books = new Books();
  readonly complaints: string[] = [];
  /** From a client's leaving to the upstream's noticing, milliseconds. */
  readonly cancelledAfterMs: number[] = [];
  requests = 0;
  wrong = 0;
  /** Prompts and answers of complete requests, as told by the upstreams. */
  readonly told = { input: 0, output: 0 };
  readonly #options: LoadOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  #waiting: Waiting[] = [];
  #lastId = 0;
  #isStopping = false;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** So many at all times until `until` resolves; then waits for the last end and judges everything. */
  async keep(streams: number, until: Promise<unknown>): Promise<void> {
    this.#isStopping = false;
    const stop = until.finally(() => {
      this.#isStopping = true;
    });
    const sweep = setInterval(() => this.#judgeDue(), sweepMs);
    try {
      await Promise.all([stop, ...Array.from({ length: streams }, () => this.#repeat())]);
      while (this.#waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, sweepMs));
    } finally {
      clearInterval(sweep);
    }
  }

  /** As `keep`, for a number of requests in all. */
  async send(count: number, streams: number): Promise<void> {
    const last = this.#lastId + count;
    const poll = async () => {
      while (this.#lastId < last) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await this.keep(streams, poll());
  }

  /** Ends the clients' connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #repeat(): Promise<void> {
    while (!this.#isStopping) {
      const plan = this.#draw();
      const seen = await ask(plan, { port: this.#options.port, agent: this.#agent });
      this.#waiting.push({ plan, seen, endedAt: performance.now() });
    }
  }

  #draw(): Plan {
    const { accepts, pace, random } = this.#options;
    for (;;) {
      this.#lastId += 1;
      const plan = drawPlan(this.#lastId.toString(36), random.fork(String(this.#lastId)), pace);
      if (accepts === undefined || accepts(plan)) return plan;
    }
  }

  #judgeDue(): void {
    const now = performance.now();
    const { upstream } = this.#options;
    this.#waiting = this.#waiting.filter(({ endedAt, plan, seen }) => {
      const { ended, open } = upstream.callsOf(plan.script.id);
      const isDue = now - endedAt >= (open > 0 ? openMsMax : judgedAfterMs);
      if (!isDue) return true;
      this.#enter({ plan, seen, calls: ended, openCalls: open });
      upstream.forget(plan.script.id);
      return false;
    });
  }

  #enter(one: Case): void {
    const { calls, plan, seen } = one;
    this.requests += 1;
    this.books.enter(one);
    if (plan.expected === "complete") {
      this.told.input += plan.script.promptTokens;
      this.told.output += plan.script.tokens;
    }
    const complaint = judge(one);
    if (complaint !== undefined) this.#complain(one, complaint);
    const { leftAtMs } = seen;
    if (leftAtMs === undefined) return;
    for (const { end, endedAtMs } of calls) {
      // What had ended before is no matter of the leaving.
      if (end === "cancelled" && endedAtMs >= leftAtMs)
        this.cancelledAfterMs.push(endedAtMs - leftAtMs);
    }
  }

  #complain({ calls, plan }: Case, complaint: string): void {
    this.wrong += 1;
    if (this.complaints.length >= complaintsMax) return;
    const { behaviour, expected, model, script, stream } = plan;
    const what = JSON.stringify({
      id: script.id,
      model,
      stream,
      behaviour,
      expected,
      calls: script.calls,
    });
    const seen = calls.map((each) => `${each.place}:${each.end}/${each.tokens}`).join(", ");
    this.complaints.push(`${complaint}\n    plan ${what}\n    calls ${seen || "none"}`);
  }
}
