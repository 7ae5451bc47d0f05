// Canaries: a question with a known answer tells a model server that answers from one that answers rightly. Pure: what
// came back is compared with what should have.

/** What an answer must be like. */
export type CanaryExpectation =
  | { readonly kind: "text"; readonly model: string; readonly expect: TextExpectation }
  /** `reference`: the vector taken when the canary was set; undefined: this answer will be it. */
  | {
      readonly kind: "vector";
      readonly model: string;
      readonly reference: readonly number[] | undefined;
    };

/** `contains`: the words must occur, whatever the case and the white space. `pattern`: a regular expression must match. */
export type TextExpectation =
  | { readonly kind: "contains"; readonly text: string }
  | { readonly kind: "pattern"; readonly pattern: string };

/** What came back, read by the wire. */
export type CanaryAnswer = {
  /** The model that the server says has answered; undefined: it says nothing. */
  readonly model: string | undefined;
  readonly text: string;
  readonly vector: readonly number[];
};

/** `reason` is for the evidence: it tells what was wrong, without the answer's text. */
export type CanaryResult =
  | { readonly kind: "right" }
  | { readonly kind: "wrong"; readonly reason: CanaryFault };

export type CanaryFault = "empty" | "other-model" | "other-text" | "looping" | "other-vector";

const right: CanaryResult = { kind: "right" };

/** Below this the vector is another model's, or garbage. Quantised or batched runs of one model stay above 0.99. */
const cosineMin = 0.98;

/** @example judgeCanary({ kind: "text", model: "m", expect: { kind: "contains", text: "4" } }, answer) */
export function judgeCanary(expectation: CanaryExpectation, answer: CanaryAnswer): CanaryResult {
  if (answer.model !== undefined && !isSameModel(answer.model, expectation.model)) {
    return wrong("other-model");
  }
  return expectation.kind === "text"
    ? judgeText(answer.text, expectation.expect)
    : judgeVector(answer.vector, expectation.reference);
}

function judgeText(text: string, expect: TextExpectation): CanaryResult {
  if (text.trim() === "") return wrong("empty");
  if (isLooping(text)) return wrong("looping");
  return meets(text, expect) ? right : wrong("other-text");
}

function meets(text: string, expect: TextExpectation): boolean {
  if (expect.kind === "pattern") return new RegExp(expect.pattern, "iu").test(text);
  return fold(text).includes(fold(expect.text));
}

function judgeVector(
  vector: readonly number[],
  reference: readonly number[] | undefined,
): CanaryResult {
  if (vector.length === 0 || vector.every((each) => each === 0)) return wrong("empty");
  if (reference === undefined) return right;
  const similarity = vector.length === reference.length ? cosine(vector, reference) : 0;
  return similarity >= cosineMin ? right : wrong("other-vector");
}

/**
 * Servers name a model by its path, its file or a tag of it: the last part decides, without its ending.
 *
 * @example isSameModel("/models/Llama-3.1-8B.gguf", "meta-llama/llama-3.1-8b") // true
 */
export function isSameModel(told: string, expected: string): boolean {
  return lastPart(told) === lastPart(expected);
}

function lastPart(name: string): string {
  const last = name.split("/").at(-1) ?? "";
  return fold(last.replace(/\.(gguf|bin|safetensors)$/i, "").replace(/:latest$/, ""));
}

function fold(text: string): string {
  return text.toLowerCase().replace(/\s+/g, " ").trim();
}

/** Words of one text that may repeat: fewer is a short answer, and many are a loop. */
const loopWords = 6;
const loopShare = 0.75;

/** A model server with broken weights or caches repeats itself: one word, or one short group of words. */
export function isLooping(text: string): boolean {
  const words = fold(text).split(" ");
  if (words.length < loopWords) return false;
  for (const length of [1, 2, 3]) {
    let same = 0;
    for (let at = length; at < words.length; at++) {
      if (words[at] === words[at - length]) same += 1;
    }
    if (same / (words.length - length) >= loopShare) return true;
  }
  return false;
}

/** From −1 to 1; 0 for a vector of nothing but zeros. */
export function cosine(a: readonly number[], b: readonly number[]): number {
  let dot = 0;
  let lengthA = 0;
  let lengthB = 0;
  for (let index = 0; index < a.length; index++) {
    const x = a[index] ?? 0;
    const y = b[index] ?? 0;
    dot += x * y;
    lengthA += x * x;
    lengthB += y * y;
  }
  return lengthA === 0 || lengthB === 0 ? 0 : dot / Math.sqrt(lengthA * lengthB);
}

function wrong(reason: CanaryFault): CanaryResult {
  return { kind: "wrong", reason };
}
