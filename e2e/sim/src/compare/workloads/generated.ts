// Four generated workloads. Sizes: sessions of 5 turns (geometric), messages of 500 tokens and answers of 250
// (log-normal medians), 50 system prompts (Zipf); the trees are those of SkyWalker's evaluation (arXiv 2505.24095).

import { type Random, seededRandom } from "@meridian/proto/base";
import { exponential, geometric, logNormal, Zipf } from "../../kernel/draws.ts";
import { starts } from "./demand.ts";
import { blocksIn, nothingSaid, saidAfter, stepOf, type Text, Texts } from "./text.ts";
import type { Demand, Session, Step, Workload } from "./work.ts";

type Size = { readonly median: number; readonly sigma: number; readonly max: number };

const message: Size = { median: 500, sigma: 0.8, max: 8_000 };
const answer: Size = { median: 250, sigma: 0.7, max: 2_000 };
const turnsMean = 5;
/** From an answer's end to the next question. Short, so that a run of minutes sees whole sessions. */
const thinkMeanMs = 6_000;
/** A conversation is cut before it outgrows the model. */
const contextMax = 24_000;
const systemPromptsCount = 50;

type Made = {
  readonly random: Random;
  readonly texts: Texts;
  /** A system prompt, by its popularity. */
  readonly system: () => Text;
};

type Shape = {
  readonly name: string;
  readonly guess: number;
  /** Requests in a session, in the mean. */
  readonly requestsMean: number;
  readonly systemTokens: number;
  readonly steps: (made: Made) => readonly Step[];
};

function workload(shape: Shape): Workload {
  return {
    name: shape.name,
    objectiveMs: 2_000,
    server: "small",
    guess: shape.guess,
    sessions: (demand) => sessionsOf(shape, demand),
  };
}

function sessionsOf(shape: Shape, demand: Demand): readonly Session[] {
  const random = seededRandom(`${shape.name}/${demand.seed}`);
  const texts = new Texts(`${shape.name}/${demand.seed}`);
  const draws = random.fork("sessions");
  const system = systemPrompts({ texts, median: shape.systemTokens, random, draws });
  const begun = starts(demand, demand.requestsPerSecond / shape.requestsMean, random);
  return begun.map((start) => ({
    ...start,
    steps: shape.steps({ random: draws, texts, system }),
  }));
}

/** Fifty, the k-th asked for in proportion to 1 / k. */
function systemPrompts({
  texts,
  median,
  random,
  draws,
}: {
  readonly texts: Texts;
  readonly median: number;
  readonly random: Random;
  readonly draws: Random;
}): () => Text {
  const lengths = random.fork("system prompts");
  const prompts = Array.from({ length: systemPromptsCount }, (): Text => {
    const tokens = size(lengths, { median, sigma: 0.5, max: 6_000 });
    return { tokens, blocks: texts.fresh(blocksIn(tokens)) };
  });
  const rank = new Zipf(prompts.length);
  return () => prompts[rank.draw(draws)] ?? nothingSaid;
}

/** Turns that each say all that was said before. */
function conversation({ random, texts, system }: Made, turns: number): readonly Step[] {
  const steps: Step[] = [];
  let said = system();
  for (let turn = 0; turn < turns && said.tokens < contextMax; turn++) {
    const thinkMs = turn === 0 ? 0 : 500 + exponential(random, thinkMeanMs);
    const lengths = { added: size(random, message), outputTokens: size(random, answer), texts };
    const step = stepOf({ after: turn - 1, thinkMs }, said, lengths);
    steps.push(step);
    said = saidAfter(step);
  }
  return steps;
}

/** Two thoughts after each one, four levels: 15 requests, those of a level at the same time. */
function thoughts({ random, texts, system }: Made): readonly Step[] {
  const question = size(random, { median: 300, sigma: 0.5, max: 2_000 });
  const start = system();
  const steps: Step[] = [];
  for (let node = 0; node < 15; node++) {
    const after = node === 0 ? -1 : Math.floor((node - 1) / 2);
    const parent = steps[after];
    const said = parent === undefined ? start : saidAfter(parent);
    const outputTokens = size(random, { median: 150, sigma: 0.5, max: 1_000 });
    const added = parent === undefined ? question : 60;
    steps.push(stepOf({ after, thinkMs: 0 }, said, { added, outputTokens, texts }));
  }
  return steps;
}

function longPrompt({ random, texts }: Made): readonly Step[] {
  const added = size(random, { median: 4_000, sigma: 0.7, max: 24_000 });
  const outputTokens = size(random, answer);
  return [stepOf({ after: -1, thinkMs: 0 }, nothingSaid, { added, outputTokens, texts })];
}

/** Tokens: whole ones, at least 1. */
function size(random: Random, { median, sigma, max }: Size): number {
  return Math.max(1, Math.min(max, Math.round(logNormal(random, median, sigma))));
}

/** In the order in which they are shown. */
export const generatedWorkloads: readonly Workload[] = [
  workload({
    name: "chat",
    guess: 18,
    requestsMean: turnsMean,
    systemTokens: 500,
    steps: (made) => conversation(made, geometric(made.random, turnsMean)),
  }),
  workload({
    name: "shared-prompts",
    guess: 25,
    requestsMean: 1.5,
    systemTokens: 2_500,
    steps: (made) => conversation(made, geometric(made.random, 1.5)),
  }),
  workload({
    name: "tree-of-thoughts",
    guess: 80,
    requestsMean: 15,
    systemTokens: 800,
    steps: thoughts,
  }),
  workload({
    name: "long-prompts",
    guess: 11,
    requestsMean: 1,
    systemTokens: 0,
    steps: longPrompt,
  }),
];
