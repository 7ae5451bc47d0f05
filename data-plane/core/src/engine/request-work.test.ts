import { expect, test } from "vitest";
import { type AttemptRecord, upstreamFailure } from "../attempt/index.ts";
import { BackendBuckets, bucketBytes } from "../balance/index.ts";
import type { Outcome } from "./engine.ts";
import { settleBuckets, workOf } from "./request-work.ts";
import { plainFacts } from "./test-facts.ts";

const facts = { ...plainFacts, inputTokens: 300, outputTokensMax: 500 };

function record(more: Pick<AttemptRecord, "outcome" | "failure">): AttemptRecord {
  return {
    attempt: 1,
    candidate: {
      kind: "backend",
      slot: 0,
      name: "a",
      region: "eu",
      origin: "http://a:1",
      protocol: "openai",
      model: "m",
      upstreamModel: undefined,
      assistantPrefix: "none",
    },
    reason: "",
    role: "first",
    considered: { names: [], scores: [] },
    startedAt: 0,
    headersAt: undefined,
    firstTokenAt: undefined,
    endedAt: 0,
    slow: false,
    ...more,
  };
}

/** Tokens that a bucket of 1,000 still has at once after a call of so many was taken and settled. */
function leftAfter(more: Pick<AttemptRecord, "outcome" | "failure">): number {
  const buckets = new BackendBuckets(new ArrayBuffer(bucketBytes(1)));
  buckets.setLimits(0, { requestsPerMinute: undefined, tokensPerMinute: 6_000 });
  buckets.take(0, workOf(facts).tokens, 0);
  const outcome: Outcome = {
    facts,
    route: "all",
    ending: { kind: "complete", attempt: 1 },
    attempts: [record(more)],
    usage: { inputTokens: 310, outputTokens: 90, exact: true },
    startedAt: 0,
    committedAt: undefined,
  };
  settleBuckets(buckets, outcome, 0);
  let left = 0;
  while (left < 1_000 && buckets.roomInMs(0, left + 10, 0) === 0) left += 10;
  return left;
}

test("a request counts with its prompt and the output that it allows, or an ordinary one", () => {
  expect(workOf(facts)).toEqual({ tokens: 800, promptTokens: 300 });
  expect(workOf({ ...facts, outputTokensMax: undefined })).toEqual({
    tokens: 556,
    promptTokens: 300,
  });
  expect(workOf({ ...facts, outputTokensMax: 4e9 }).tokens).toBe(1_000_000);
});

test.each([
  ["complete", undefined, 600],
  ["rejected", undefined, 1_000],
  ["cancelled", undefined, 700],
  ["failed", upstreamFailure("connect", "x"), 1_000],
  ["failed", upstreamFailure("saturated", "x"), 1_000],
  ["failed", upstreamFailure("reset", "x"), 700],
] as const)("a call that ended as %s leaves what it did not use", (outcome, failure, left) => {
  expect(leftAfter({ outcome, failure })).toBe(left);
});
