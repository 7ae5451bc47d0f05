import { expect, test } from "vitest";
import {
  type AttemptRecord,
  type Ending,
  type FailureKind,
  type UpstreamFailure,
  upstreamFailure,
} from "../attempt/index.ts";
import { edgeEvidence } from "./edge-evidence.ts";
import type { Outcome, RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const facts: RequestFacts = {
  ...plainFacts,
  model: "m",
  inputTokens: 10,
  outputTokensMax: undefined,
};

function record(kind: "backend" | "peer", failure: UpstreamFailure | undefined): AttemptRecord {
  return {
    attempt: 1,
    candidate: {
      kind,
      slot: 0,
      name: "x",
      region: kind === "peer" ? "us" : "eu",
      origin: "http://x",
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
    endedAt: 1,
    outcome: failure === undefined ? "complete" : "failed",
    failure,
    slow: false,
  };
}

const failure = (kind: FailureKind, status?: number) =>
  upstreamFailure(kind, "x", status === undefined ? {} : { status });

const refused = (last: UpstreamFailure | undefined, retryAfterMs?: number): Ending => ({
  kind: "refused",
  cause: { last, reason: "", retryAfterMs },
});

const broken = (last: UpstreamFailure): Ending => ({ kind: "broken", attempt: 1, failure: last });

function evidence(ending: Ending, more: Partial<Outcome> = {}): string {
  return edgeEvidence({ facts, ending, attempts: [], ...more });
}

test.each<[string, Ending, string]>([
  ["an answer", { kind: "complete", attempt: 1 }, "answered"],
  ["a request at fault", { kind: "rejected", attempt: 1 }, "nothing"],
  ["a client that left", { kind: "client-gone" }, "nothing"],
  ["a backend that could not be reached", refused(failure("connect")), "failed"],
  ["a server error", refused(failure("status", 500)), "failed"],
  ["no first token", refused(failure("first-token-timeout")), "failed"],
  ["a stream that broke", broken(failure("truncated")), "failed"],
  ["nobody to ask", refused(undefined), "failed"],
  ["everybody full", refused(undefined, 2_000), "nothing"],
  ["a backend that is full", refused(failure("saturated", 429)), "nothing"],
  ["a model that is not served", refused(failure("status", 404)), "nothing"],
  ["the client's own deadline", broken(failure("total-timeout")), "nothing"],
])("%s says that", (_what, ending, expected) => {
  expect(evidence(ending)).toBe(expected);
});

test("a request from another region is none of a client", () => {
  const abroad = { ...facts, arrivedFrom: "us" };
  expect(evidence({ kind: "complete", attempt: 1 }, { facts: abroad })).toBe("nothing");
  expect(evidence(refused(failure("connect")), { facts: abroad })).toBe("nothing");
});

test("what another region could not answer either is no reason to send clients there", () => {
  const here = record("backend", failure("status", 500));
  const there = record("peer", failure("status", 502));
  const unreachable = record("peer", failure("connect"));
  const last = refused(failure("status", 500));
  expect(evidence(last, { attempts: [here, there] })).toBe("nothing");
  expect(evidence(last, { attempts: [here, unreachable] })).toBe("failed");
});
