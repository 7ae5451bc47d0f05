// Finished requests in columns that are allocated once. Kept as the objects that they came as, they would grow the heap by a
// kibibyte each and be copied by the collector; here they die young, and what stays are the ids and the scores.

import type { Considered } from "@meridian/data-core/attempt";
import { type ExplainedExchange, type ExplainedOutcome, nameLengthMax } from "./decision-record.ts";

/** What fits the columns: one attempt without a failure, or none at all. */
export function fitsColumns({ outcome }: ExplainedExchange): boolean {
  if (outcome === undefined) return true;
  const { attempts, ending } = outcome;
  if (ending.kind === "refused" || ending.kind === "broken") return false;
  return attempts.length === 1 && attempts[0]?.failure === undefined;
}

type Attempt = ExplainedOutcome["attempts"][number];
type Candidate = Attempt["candidate"];

/** Numbers of one request; NaN stands for undefined. */
const numbersEach = 15;
/** Words of one request; the empty one stands for undefined. */
const wordsEach = 14;
const noneConsidered: Considered = { names: [], scores: [] };

export class DecisionColumns {
  readonly #numbers: Float64Array;
  readonly #words: string[];
  readonly #candidates: (Candidate | undefined)[];
  readonly #considered: Considered[];
  readonly #roles: Attempt["role"][];
  readonly #outcomes: Attempt["outcome"][];

  constructor(size: number) {
    this.#numbers = new Float64Array(size * numbersEach).fill(Number.NaN);
    this.#words = new Array(size * wordsEach).fill("");
    this.#candidates = new Array(size).fill(undefined);
    this.#considered = new Array(size).fill(noneConsidered);
    this.#roles = new Array(size).fill("first");
    this.#outcomes = new Array(size).fill("complete");
  }

  /** Only for what `fitsColumns`. */
  write(at: number, finished: ExplainedExchange): void {
    const { outcome } = finished;
    this.#writeWords(at * wordsEach, finished);
    const numbers = this.#numbers;
    const from = at * numbersEach;
    numbers[from] = finished.arrivedAtMs;
    numbers[from + 1] = finished.durationMs;
    numbers[from + 2] = finished.firstTokenMs ?? Number.NaN;
    numbers[from + 3] = finished.ownMs;
    numbers[from + 4] = finished.status;
    numbers[from + 5] = finished.stream ? 1 : 0;
    numbers[from + 14] = finished.heldMs;
    const attempt = outcome?.attempts[0];
    this.#candidates[at] = attempt?.candidate;
    if (outcome === undefined || attempt === undefined) return;
    const { startedAt, usage } = outcome;
    numbers[from + 6] = outcome.facts.inputTokens;
    numbers[from + 7] = usage.inputTokens;
    numbers[from + 8] = usage.outputTokens;
    // Two booleans in one place.
    numbers[from + 9] = (usage.exact ? 1 : 0) + (attempt.slow ? 2 : 0);
    numbers[from + 10] = attempt.startedAt - startedAt;
    numbers[from + 11] = (attempt.headersAt ?? Number.NaN) - startedAt;
    numbers[from + 12] = (attempt.firstTokenAt ?? Number.NaN) - startedAt;
    numbers[from + 13] = (attempt.endedAt ?? Number.NaN) - startedAt;
    this.#considered[at] = attempt.considered;
    this.#roles[at] = attempt.role;
    this.#outcomes[at] = attempt.outcome;
  }

  isAbout(at: number, id: string): boolean {
    const from = at * wordsEach;
    return this.#words[from] === id || this.#words[from + 1] === id;
  }

  arrivedAtMs(at: number): number {
    return this.#numbers[at * numbersEach] ?? 0;
  }

  read(at: number): ExplainedExchange {
    const word = (index: number) => this.#words[at * wordsEach + index] ?? "";
    const number = (index: number) => this.#numbers[at * numbersEach + index] ?? Number.NaN;
    return {
      decisionId: word(0),
      requestId: word(1),
      tenant: word(2),
      model: word(3),
      kind: word(4),
      revision: word(5),
      ending: word(6),
      region: word(7),
      arrivedFrom: word(8) === "" ? undefined : word(8),
      errorCode: word(9) === "" ? undefined : word(9),
      shadow: word(13),
      arrivedAtMs: number(0),
      durationMs: number(1),
      firstTokenMs: known(number(2)),
      ownMs: number(3),
      heldMs: number(14),
      status: number(4),
      stream: number(5) === 1,
      outcome: this.#readOutcome(at, word, number),
    };
  }

  #writeWords(from: number, finished: ExplainedExchange): void {
    const { outcome } = finished;
    const words = this.#words;
    words[from] = finished.decisionId;
    words[from + 1] = finished.requestId;
    words[from + 2] = finished.tenant;
    words[from + 3] = finished.model;
    words[from + 4] = finished.kind;
    words[from + 5] = finished.revision;
    words[from + 6] = finished.ending;
    words[from + 7] = finished.region;
    words[from + 8] = finished.arrivedFrom ?? "";
    words[from + 9] = finished.errorCode ?? "";
    words[from + 10] = outcome === undefined ? "" : askedModel(finished.model, outcome);
    words[from + 11] = outcome?.route ?? "";
    words[from + 12] = outcome?.attempts[0]?.reason ?? "";
    words[from + 13] = finished.shadow;
  }

  #readOutcome(
    at: number,
    word: (index: number) => string,
    number: (index: number) => number,
  ): ExplainedOutcome | undefined {
    const candidate = this.#candidates[at];
    if (candidate === undefined) return undefined;
    const flags = number(9);
    return {
      facts: { model: word(10), inputTokens: number(6) },
      route: word(11),
      ending: { kind: "complete", attempt: 1 },
      usage: { inputTokens: number(7), outputTokens: number(8), exact: flags % 2 === 1 },
      // Times were kept from the arrival.
      startedAt: 0,
      attempts: [
        {
          attempt: 1,
          candidate,
          reason: word(12),
          role: this.#roles[at] ?? "first",
          considered: this.#considered[at] ?? noneConsidered,
          startedAt: number(10),
          headersAt: known(number(11)),
          firstTokenAt: known(number(12)),
          endedAt: known(number(13)),
          outcome: this.#outcomes[at] ?? "complete",
          failure: undefined,
          slow: flags >= 2,
        },
      ],
    };
  }
}

/** Mostly the name that the policy has, too: then one string serves both. */
function askedModel(model: string, { facts }: ExplainedOutcome): string {
  return facts.model === model ? model : facts.model.slice(0, nameLengthMax);
}

function known(number: number): number | undefined {
  return Number.isNaN(number) ? undefined : number;
}
