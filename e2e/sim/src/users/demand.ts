// How many sessions begin when, and what they ask: turns that grow on each other, prompts that share their beginnings.
// Shapes and medians as in reference multiregion 4.4, with shorter texts, so that a run of minutes sees many requests.

import { fnv1a, type Instant, type Random } from "@meridian/proto/base";
import { exponential, geometric, logNormal, type Zipf } from "../kernel/draws.ts";

export type DemandShape = {
  /** Sessions per second at a moment of the world. */
  readonly rate: (at: Instant) => number;
  /** An upper bound of `rate`. */
  readonly rateMax: number;
};

export type SessionShape = {
  /** Mean of the geometric distribution. */
  readonly turns: number;
  readonly thinkMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly systemPrompts: number;
  readonly systemTokens: number;
  /** Share of sessions whose system prompt is the first of all, whatever the Zipf law says; 0: none. */
  readonly hotShare: (at: Instant) => number;
};

export const usualSession: SessionShape = {
  turns: 4,
  thinkMs: 3_000,
  promptTokens: 250,
  outputTokens: 120,
  systemPrompts: 50,
  systemTokens: 768,
  hotShare: () => 0,
};

/** Sine between trough and peak, `shiftMs` later than elsewhere. */
export function diurnal(shape: {
  readonly mean: number;
  /** Peak over trough. */
  readonly swing: number;
  readonly dayMs: number;
  readonly shiftMs: number;
}): DemandShape {
  const { mean, swing, dayMs, shiftMs } = shape;
  const amplitude = (swing - 1) / (swing + 1);
  const rate = (at: Instant): number =>
    mean * (1 + amplitude * Math.sin((2 * Math.PI * (at - shiftMs)) / dayMs));
  return { rate, rateMax: mean * (1 + amplitude) };
}

export function steady(perSecond: number): DemandShape {
  return { rate: () => perSecond, rateMax: perSecond };
}

/** Another rate within an interval. */
export function surge(
  base: DemandShape,
  change: { readonly from: Instant; readonly to: Instant; readonly factor: number },
): DemandShape {
  const { from, to, factor } = change;
  const isIn = (at: Instant): boolean => at >= from && at < to;
  return {
    rate: (at) => base.rate(at) * (isIn(at) ? factor : 1),
    rateMax: base.rateMax * Math.max(1, factor),
  };
}

/** Milliseconds to the next session of an inhomogeneous Poisson process, by thinning. */
export function nextSessionMs(random: Random, shape: DemandShape, now: Instant): number {
  let at = now;
  if (shape.rateMax <= 0) return Number.POSITIVE_INFINITY;
  do {
    at += exponential(random, 1_000 / shape.rateMax);
  } while (random.next() * shape.rateMax > shape.rate(at));
  return at - now;
}

export type Turn = {
  readonly blocks: readonly number[];
  readonly inputTokens: number;
  readonly outputTokens: number;
};

const blockTokens = 256;
/** No prompt grows beyond it. */
const inputMax = 6_000;

/** The texts of one session, turn by turn. */
export class SessionTexts {
  readonly #random: Random;
  readonly #shape: SessionShape;
  readonly #chain: number[] = [];
  readonly #own: number;
  readonly #system: number;
  #tokens: number;
  #turnsLeft: number;

  constructor(random: Random, shape: SessionShape, zipf: Zipf, about: SessionStart) {
    this.#random = random;
    this.#shape = shape;
    this.#own = about.session;
    const isHot = random.next() < shape.hotShare(about.at);
    this.#system = isHot ? 0 : zipf.draw(random);
    this.#tokens = shape.systemTokens;
    this.#turnsLeft = geometric(random, shape.turns);
  }

  /** undefined: the session is over. */
  next(): Turn | undefined {
    if (this.#turnsLeft <= 0) return undefined;
    this.#turnsLeft -= 1;
    const { promptTokens, outputTokens } = this.#shape;
    const prompt = Math.ceil(logNormal(this.#random, promptTokens, 0.7));
    const output = Math.min(800, Math.ceil(logNormal(this.#random, outputTokens, 0.6)));
    this.#tokens = Math.min(inputMax, this.#tokens + prompt);
    const inputTokens = this.#tokens;
    const blocks = this.#blocksOf(inputTokens);
    this.#tokens += output;
    return { blocks, inputTokens, outputTokens: output };
  }

  thinkMs(): number {
    return logNormal(this.#random, this.#shape.thinkMs, 0.8);
  }

  /** A chain of hashes: the system prompt's blocks are everybody's with the same one, the rest the session's own. */
  #blocksOf(tokens: number): readonly number[] {
    const count = Math.floor(tokens / blockTokens);
    const shared = Math.floor(this.#shape.systemTokens / blockTokens);
    while (this.#chain.length < count) {
      const at = this.#chain.length;
      const text = at < shared ? `system ${this.#system} ${at}` : `session ${this.#own} ${at}`;
      this.#chain.push(fnv1a(text, this.#chain[at - 1] ?? 0x811c9dc5));
    }
    return this.#chain.slice(0, count);
  }
}

export type SessionStart = { readonly session: number; readonly at: Instant };
