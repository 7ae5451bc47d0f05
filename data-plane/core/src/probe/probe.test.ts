import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import {
  type CanaryAnswer,
  type CanaryExpectation,
  isLooping,
  isSameModel,
  judgeCanary,
  ProbePlan,
} from "./index.ts";

const answer: CanaryAnswer = { model: "m", text: "The answer is 4.", vector: [] };
const four: CanaryExpectation = {
  kind: "text",
  model: "m",
  expect: { kind: "contains", text: "answer  IS 4" },
};

test.each<[string, Partial<CanaryAnswer>, string]>([
  ["the expected words", {}, "right"],
  ["a server that does not name its model", { model: undefined }, "right"],
  ["another text", { text: "The answer is 5." }, "other-text"],
  ["another model", { model: "n" }, "other-model"],
  ["nothing", { text: "" }, "empty"],
  ["white space", { text: " \n" }, "empty"],
  ["a loop that holds the words", { text: "the answer is 4 4 4 4 4 4 4 4 4 4 4 4 4 4" }, "looping"],
])("a canary answered with %s", (_, more, expected) => {
  const result = judgeCanary(four, { ...answer, ...more });
  expect(result.kind === "right" ? "right" : result.reason).toBe(expected);
});

test("a pattern is matched whatever the case", () => {
  const expect4: CanaryExpectation = {
    kind: "text",
    model: "m",
    expect: { kind: "pattern", pattern: "\\b(4|four)\\b" },
  };
  expect(judgeCanary(expect4, { ...answer, text: "FOUR" })).toEqual({ kind: "right" });
  expect(judgeCanary(expect4, { ...answer, text: "40" }).kind).toBe("wrong");
});

test("vectors: the first is taken as it is, later ones must be near it", () => {
  const reference = [0.1, -0.2, 0.3, 0.4];
  const judge = (vector: readonly number[], against: readonly number[] | undefined = reference) => {
    const expectation: CanaryExpectation = { kind: "vector", model: "m", reference: against };
    const result = judgeCanary(expectation, { ...answer, vector });
    return result.kind === "right" ? "right" : result.reason;
  };
  expect(judge(reference, undefined)).toBe("right");
  expect(judge(reference.map((each) => each * 2))).toBe("right");
  expect(judge([0.11, -0.2, 0.3, 0.39])).toBe("right");
  expect(judge([0.4, 0.3, -0.2, 0.1])).toBe("other-vector");
  expect(judge(reference.slice(1))).toBe("other-vector");
  expect(judge([])).toBe("empty");
  expect(judge([0, 0, 0, 0])).toBe("empty");
});

test("models are compared by the last part of their names", () => {
  expect(isSameModel("/models/Llama-3.1-8B.gguf", "meta-llama/llama-3.1-8b")).toBe(true);
  expect(isSameModel("llama3:latest", "llama3")).toBe(true);
  expect(isSameModel("meta-llama/llama-3.1-70b", "meta-llama/llama-3.1-8b")).toBe(false);
});

test("loops are seen, and prose is not one", () => {
  expect(isLooping("no no no no no no no")).toBe(true);
  expect(isLooping("one two one two one two one two")).toBe(true);
  expect(isLooping("a b c a b c a b c a b c")).toBe(true);
  expect(isLooping("to be or not to be, that is the question")).toBe(false);
  expect(isLooping("4 4")).toBe(false);
});

function planOf(count: number): ProbePlan {
  const plan = new ProbePlan(seededRandom("probes"));
  const targets = Array.from({ length: count }, (_, each) => ({
    name: `b${each}`,
    hasCanary: each > 0,
    canaryTokens: 20,
  }));
  plan.arrange(targets, 0);
  return plan;
}

/** Probes in so many seconds, asked each 100 ms; each ends at once. */
function probesIn(plan: ProbePlan, seconds: number, need: "usual" | "busy" | "proving") {
  const seen = { alive: 0, canary: 0 };
  for (let now = 0; now <= seconds * 1_000; now += 100) {
    for (const probe of plan.due(() => need, now)) {
      if (probe.target === "b1") seen[probe.kind] += 1;
      plan.ended(probe);
    }
  }
  return seen;
}

test("what is usual is probed each second and asked each five; what is busy less, what proves itself more", () => {
  const usual = probesIn(planOf(2), 100, "usual");
  expect(usual.alive).toBeGreaterThanOrEqual(98);
  expect(usual.alive).toBeLessThanOrEqual(112);
  expect(usual.canary).toBeGreaterThanOrEqual(19);
  expect(usual.canary).toBeLessThanOrEqual(23);
  expect(probesIn(planOf(2), 100, "busy").canary).toBeLessThanOrEqual(5);
  expect(probesIn(planOf(2), 100, "proving").canary).toBeGreaterThanOrEqual(48);
});

test("a probe that is under way is not started again, and without a canary none is asked", () => {
  const plan = planOf(1);
  const first = plan.due(() => "usual", 10_000);
  expect(first).toEqual([{ target: "b0", kind: "alive" }]);
  expect(plan.due(() => "usual", 60_000)).toEqual([]);
  for (const each of first) plan.ended(each);
  expect(plan.due(() => "usual", 61_000)).toHaveLength(1);
});

test("a new policy keeps the times of what stays and forgets what is gone", () => {
  const plan = planOf(2);
  for (const each of plan.due(() => "usual", 10_000)) plan.ended(each);
  plan.arrange([{ name: "b1", hasCanary: true, canaryTokens: 20 }], 10_100);
  expect(plan.due(() => "usual", 10_200)).toEqual([]);
  expect(plan.due(() => "usual", 11_100)).toEqual([{ target: "b1", kind: "alive" }]);
});

test("a day of canaries costs no more than is told", () => {
  const plan = planOf(2);
  const { canary } = probesIn(plan, 86_400, "usual");
  expect(canary * 20).toBeLessThanOrEqual(plan.tokensPerDay("b1", "usual"));
});

test("what canaries cost in a day is told", () => {
  expect(planOf(2).tokensPerDay("b1", "usual")).toBe(19_200 * 20);
  expect(planOf(2).tokensPerDay("b1", "busy")).toBe(3_200 * 20);
  expect(planOf(2).tokensPerDay("b0", "usual")).toBe(0);
  expect(planOf(2).tokensPerDay("gone", "usual")).toBe(0);
});
