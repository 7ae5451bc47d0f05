// Every byte at which an answer can be cut, over HTTP and through the proxy: a cut answer never looks complete.

import { freePorts, type PolicyDocument } from "@meridian/harness";
import { ask } from "../ask.ts";
import { type Bed, modelOf } from "../matrix/bed.ts";
import { limits } from "../matrix/oracle.ts";
import type { Asked, Reading, Saw } from "../question.ts";
import {
  type Cut,
  type CutEnd,
  cutEnds,
  nameCut,
  type Recording,
  ScriptedUpstream,
} from "./scripted-upstream.ts";

const workers = 8;

/** After so many failures in a row a server would be left alone: a whole answer comes sooner. */
const cutsInRow = 5;
const triesMax = 20;

export type CutsResult = {
  readonly cuts: number;
  readonly bytes: number;
  /** Cut, and told to the application as complete. */
  readonly lies: readonly string[];
  /** Told as an error or complete, but with words that the answer does not have there. */
  readonly wrong: readonly string[];
  /** Never met, so that nothing is known of them. */
  readonly missed: number;
};

type Recorded = {
  readonly name: string;
  readonly recording: Recording;
  readonly text: string;
  /** Bytes by which the answer is whole, for each way to end. */
  readonly wholeAt: { readonly [K in CutEnd]: number };
  readonly readings: readonly Reading[];
};

type Job = {
  readonly recorded: Recorded;
  readonly at: number;
  readonly how: CutEnd;
  readonly reading: Reading;
};

/** Model servers that cut; started before the bed, whose policy must have them. */
export class CutsBed {
  #ports: readonly number[] = [];

  async start(): Promise<void> {
    this.#ports = await freePorts(workers);
  }

  /** A server and a model for each worker. */
  policy(policy: PolicyDocument): PolicyDocument {
    const region = policy.regions[0]?.name ?? "";
    const backends = this.#ports.map((port, worker) => ({
      name: `cuts-${worker}`,
      region,
      url: `http://127.0.0.1:${port}`,
      serves: [{ model: modelFor(worker) }],
    }));
    const models = this.#ports.map((_, worker) => ({ name: modelFor(worker) }));
    const route = { name: "cuts", match: { models: ["cuts-*"] }, timeouts: limits };
    return {
      ...policy,
      backends: [...policy.backends, ...backends],
      models: [...policy.models, ...models],
      routes: [...(policy.routes ?? []), route],
    };
  }

  /** Cuts at every `step`-th byte. */
  async run(bed: Bed, step: number): Promise<CutsResult> {
    const recorded = await recordings(bed);
    const byName = new Map(recorded.map((each) => [each.name, each.recording]));
    const upstream = new ScriptedUpstream(byName);
    await upstream.listen(this.#ports);
    const jobs = recorded.flatMap((each) => jobsOf(each, step));
    const result = { cuts: 0, bytes: 0, lies: [] as string[], wrong: [] as string[], missed: 0 };
    result.bytes = recorded.reduce((sum, each) => sum + each.recording.body.length, 0);
    try {
      await Promise.all(
        this.#ports.map((_, worker) => new CutWorker(bed, upstream, worker).work(jobs, result)),
      );
    } finally {
      upstream.stop();
    }
    return result;
  }
}

function modelFor(worker: number): string {
  return `cuts-${worker}`;
}

class CutWorker {
  readonly #bed: Bed;
  readonly #upstream: ScriptedUpstream;
  readonly #model: string;
  #inRow = 0;

  constructor(bed: Bed, upstream: ScriptedUpstream, worker: number) {
    this.#bed = bed;
    this.#upstream = upstream;
    this.#model = modelFor(worker);
  }

  async work(
    jobs: Job[],
    result: { cuts: number; lies: string[]; wrong: string[]; missed: number },
  ): Promise<void> {
    for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
      const name = nameCut(job.recorded.name, job);
      const asked = await this.#meet(job);
      result.cuts += 1;
      if (asked === undefined) result.missed += 1;
      else {
        const verdict = judge(job, asked.saw);
        if (verdict !== undefined)
          result[verdict].push(`${name} ${job.reading}: ${show(asked.saw)}`);
      }
    }
  }

  /** Asks until the server was really met: one that is left alone for its failures would make any error look right. */
  async #meet(job: Job): Promise<Asked | undefined> {
    const key = nameCut(job.recorded.name, job);
    for (let turn = 0; turn < triesMax; turn++) {
      if (this.#inRow >= cutsInRow || turn > 0) await this.#heal(job.recorded);
      const before = this.#upstream.asked.get(key) ?? 0;
      this.#inRow += 1;
      const asked = await this.#ask(job.recorded, job, job.reading);
      if ((this.#upstream.asked.get(key) ?? 0) > before) return asked;
    }
    return undefined;
  }

  async #heal(recorded: Recorded): Promise<void> {
    const whole: Cut = { at: undefined, how: "end" };
    const reading = recorded.readings[0] ?? "whole";
    for (let turn = 0; turn < 200; turn++) {
      const { saw } = await this.#ask(recorded, whole, reading);
      if (saw.kind === "answer" && saw.text === recorded.text) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.#inRow = 0;
  }

  #ask(recorded: Recorded, cut: Cut, reading: Reading): Promise<Asked> {
    return ask({
      endpoint: this.#bed.endpoint,
      model: this.#model,
      prompt: "Which way?",
      reading,
      more: { user: nameCut(recorded.name, cut) },
    });
  }
}

/** undefined: as it must be. */
function judge({ recorded, at, how }: Job, saw: Saw): "lies" | "wrong" | undefined {
  if (saw.kind === "answer") {
    if (at < recorded.wholeAt[how]) return "lies";
    return saw.text === recorded.text ? undefined : "wrong";
  }
  return recorded.text.startsWith(saw.text) ? undefined : "wrong";
}

function show(saw: Saw): string {
  return saw.kind === "answer" ? `answer "${saw.text}"` : `error ${saw.code} after "${saw.text}"`;
}

function jobsOf(recorded: Recorded, step: number): Job[] {
  const jobs: Job[] = [];
  for (const how of cutEnds) {
    for (const reading of recorded.readings) {
      for (let at = 0; at < recorded.recording.body.length; at += step) {
        jobs.push({ recorded, at, how, reading });
      }
    }
  }
  return jobs;
}

/** A stream and a whole answer, as a model server gives them. */
async function recordings(bed: Bed): Promise<readonly Recorded[]> {
  const stream = await record(bed, { stream: true, stream_options: { include_usage: true } });
  const whole = await record(bed, {});
  const text = stream.body.toString();
  // After its finish reason nothing of a stream can be missing, if it ends by itself.
  const finishAt = text.indexOf('"finish_reason":"length"');
  const finishedAt = text.indexOf("}]", finishAt);
  const doneAt = text.indexOf("data: [DONE]") + "data: [DONE]".length;
  const said = JSON.parse(whole.body.toString()).choices[0].message.content;
  return [
    {
      name: "stream",
      recording: stream,
      text: said,
      wholeAt: { end: finishedAt, reset: doneAt, short: doneAt },
      readings: ["iterator", "accumulator"],
    },
    {
      name: "whole",
      recording: whole,
      text: said,
      wholeAt: { end: whole.body.length, reset: whole.body.length, short: whole.body.length },
      readings: ["whole"],
    },
  ];
}

async function record(bed: Bed, more: object): Promise<Recording> {
  const [lane] = bed.lanes;
  if (lane === undefined) throw new Error("a bed has at least one lane");
  const response = await fetch(`http://127.0.0.1:${lane.ports[0]}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      model: modelOf(lane, "plain", 0),
      max_tokens: 6,
      messages: [{ role: "user", content: "Which way?" }],
      ...more,
    }),
  });
  const body = Buffer.from(await response.arrayBuffer());
  return { type: response.headers.get("content-type") ?? "", body };
}
