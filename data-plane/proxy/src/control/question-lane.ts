// Answers what operators ask of this proxy, on a stream that it keeps open to whichever control plane is in use.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { fullJitterMs, type Random } from "@meridian/proto/base";
import { type Answer, AnswerSchema, type Node, type Question } from "@meridian/proto/gen/sync_pb";
import type { FoundDecisions } from "../decisions/index.ts";
import type { ControlStreams, Lane } from "./control-streams.ts";

export type QuestionLaneOptions = {
  readonly node: Node;
  readonly random: Random;
  readonly find: (id: string) => Promise<FoundDecisions>;
};

/** A control plane asks few questions at a time; more than these are turned down. */
const underWayMax = 8;
/** A control plane may be of a build that has no questions: it is asked again, but seldom. */
const backoff = { baseMs: 500, capMs: 30_000 };

export class QuestionLane {
  readonly #options: QuestionLaneOptions;
  #streams: ControlStreams | undefined;
  #wait: NodeJS.Timeout | undefined;
  #failures = 0;
  #underWay = 0;

  constructor(options: QuestionLaneOptions) {
    this.#options = options;
  }

  /** These streams' control plane answers. Harmless when it is told again. */
  ready(streams: ControlStreams): void {
    if (this.#streams === streams) return;
    this.gone();
    this.#streams = streams;
    this.#failures = 0;
    this.#open(streams);
  }

  /** There is no control plane any more; the streams end themselves. */
  gone(): void {
    clearTimeout(this.#wait);
    this.#streams = undefined;
  }

  #open(streams: ControlStreams): void {
    const lane: Lane<Answer> = streams.openQuestions({
      question: (question) => {
        this.#failures = 0;
        void this.#answer(question, lane);
      },
      closed: () => {
        if (this.#streams === streams) this.#openLater(streams);
      },
    });
    lane.send(create(AnswerSchema, { kind: { case: "hello", value: this.#options.node } }));
  }

  #openLater(streams: ControlStreams): void {
    const waitMs = fullJitterMs(this.#failures, backoff, this.#options.random);
    this.#failures += 1;
    clearTimeout(this.#wait);
    this.#wait = setTimeout(() => this.#open(streams), waitMs);
  }

  async #answer({ id, explain }: Question, lane: Lane<Answer>): Promise<void> {
    const value = await this.#explanation(explain);
    lane.send(create(AnswerSchema, { question: id, kind: { case: "explanation", value } }));
  }

  async #explanation(id: string): Promise<Explanation> {
    if (this.#underWay >= underWayMax) return { failure: "it answers as many questions as it can" };
    this.#underWay += 1;
    try {
      const { records, oldestMs } = await this.#options.find(id);
      return { records: [...records], oldestMs: BigInt(oldestMs) };
    } catch (cause) {
      return { failure: `its records can't be read: ${String(cause)}` };
    } finally {
      this.#underWay -= 1;
    }
  }
}

type Explanation = Extract<
  MessageInitShape<typeof AnswerSchema>["kind"],
  { readonly case: "explanation" }
>["value"];
