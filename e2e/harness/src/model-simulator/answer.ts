// What a simulated model says: decided by (model, prompt) alone, so that equal requests get equal answers
// from every server that carries the model.

import { fnv1a, type Random, seededRandom } from "@meridian/proto/base";

export type Answer = {
  /** Tokens after which the model would stop by itself. */
  readonly naturalTokens: number;
  /** The text of one token; asked in order. */
  readonly token: (index: number) => string;
};

const words = (
  "the a one each our this that every some which " +
  "route model region token proxy queue batch cache answer request stream server client prompt " +
  "sends takes holds moves waits reads gives keeps finds makes " +
  "near far fast slow first last local warm full new " +
  "and then when while after before until because with over"
).split(" ");

/** Lengths as chat answers have them: many short, few long (exponential, mean about 60 tokens, at most 400). */
export function answerTo(model: string, prompt: string): Answer {
  const random = seededRandom(`${model}/${prompt.length}/${fnv1a(prompt)}`);
  const naturalTokens = 12 + Math.min(388, Math.floor(-48 * Math.log(1 - random.next())));
  const texts = random.fork("words");
  return {
    naturalTokens,
    token: (index) => word(texts, index) + (index === naturalTokens - 1 ? "." : ""),
  };
}

/** The rest of an answer after a part of it that was given already; undefined: it never began so. */
export function goOn(answer: Answer, given: string): Answer | undefined {
  let text = "";
  let index = 0;
  while (text.length < given.length) {
    text += answer.token(index);
    index += 1;
  }
  if (!text.startsWith(given)) return undefined;
  // What is given may end within a token: its rest is the next one.
  const rest = text.slice(given.length);
  const skipped = rest === "" ? index : index - 1;
  return {
    naturalTokens: Math.max(0, answer.naturalTokens - skipped),
    token: (next) => (next === 0 && rest !== "" ? rest : answer.token(next + skipped)),
  };
}

function word(random: Random, index: number): string {
  const text = words[random.integer(words.length)] ?? "the";
  return index === 0 ? text.charAt(0).toUpperCase() + text.slice(1) : ` ${text}`;
}

/** A unit vector decided by (model, text): the sum of its words' vectors, so that similar texts are near. */
export function embed(model: string, text: string, dimensions: number): readonly number[] {
  const sum = new Array<number>(dimensions).fill(0);
  const parts = text.split(/\s+/).filter((part) => part !== "");
  for (const part of parts.length === 0 ? [""] : parts) {
    const random = seededRandom(`${model}/${part.toLowerCase()}`);
    for (let index = 0; index < dimensions; index++) {
      sum[index] = (sum[index] ?? 0) + random.next() * 2 - 1;
    }
  }
  const length = Math.hypot(...sum) || 1;
  return sum.map((each) => Math.fround(each / length));
}
