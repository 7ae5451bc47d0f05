import { toJsonString } from "@bufbuild/protobuf";
import { type FailureKind, upstreamFailure } from "@meridian/data-core/attempt";
import { DecisionRecordSchema } from "@meridian/proto/gen/decision_pb";
import { expect, test } from "vitest";
import { decisionRecord } from "./decision-record.ts";
import { attemptRecord, failed, finished } from "./test-finished.ts";

const context = { proxy: "proxy-eu-1", region: "eu", stateAgeMs: 420 };

test("a record holds the whole of a decision, with times from the arrival", () => {
  expect(decisionRecord(finished("1"), context)).toMatchObject({
    id: "dec_1",
    requestId: "req_1",
    proxy: "proxy-eu-1",
    region: "eu",
    arrivedMs: 1_700_000_000_000n,
    tenant: "acme",
    askedModel: "llama-alias",
    model: "llama",
    route: "chat",
    revision: "1.42",
    stateAgeMs: 420,
    ending: "complete",
    status: 200,
    cause: "",
    continued: false,
    usage: { inputTokens: 10, outputTokens: 20, exact: true },
    attempts: [
      {
        target: "eu-a",
        targetKind: "backend",
        role: "first",
        considered: [
          { name: "eu-a", score: 0.25 },
          { name: "eu-b", score: 1.5 },
        ],
        startedMs: 1,
        headersMs: 40,
        firstTokenMs: 50.123,
        endedMs: 120,
      },
    ],
  });
});

test("what is not known is not set, rather than zero", () => {
  const record = decisionRecord(
    finished("1", { outcome: undefined, firstTokenMs: undefined, ending: "refused" }),
    { ...context, stateAgeMs: undefined },
  );
  expect(record.stateAgeMs).toBeUndefined();
  expect(record.firstTokenMs).toBeUndefined();
  expect(record.usage).toBeUndefined();
  expect(record.attempts).toEqual([]);
});

test.each<FailureKind>(["error-frame", "status", "saturated"])(
  "a %s is told in our words, as the upstream's may quote a prompt",
  (kind) => {
    const failure = upstreamFailure(kind, "bad input: MARKER", { status: 503 });
    const record = decisionRecord(failed("1", failure), context);
    expect(toJsonString(DecisionRecordSchema, record)).not.toContain("MARKER");
    expect(record.attempts[0]?.failure).toMatchObject({ kind, status: 503 });
    expect(record.cause).not.toBe("");
  },
);

test("a refusal tells the reason and the last failure", () => {
  const request = failed("1", upstreamFailure("connect", "no connection (ECONNREFUSED)"));
  const outcome = request.outcome;
  if (outcome === undefined) throw new Error("it has one");
  const last = outcome.attempts[0]?.failure;
  const cause = { last, reason: "everybody was asked", retryAfterMs: undefined };
  const refused = {
    ...request,
    outcome: { ...outcome, ending: { kind: "refused", cause } as const },
  };
  expect(decisionRecord(refused, context).cause).toBe(
    "everybody was asked; the last failure: no connection (ECONNREFUSED)",
  );
});

test("a stream counts as continued once a continuation has spoken", () => {
  const request = finished("1");
  const outcome = request.outcome;
  if (outcome === undefined) throw new Error("it has one");
  const withSecond = (firstTokenAt: number | undefined) => ({
    ...request,
    outcome: {
      ...outcome,
      attempts: [
        attemptRecord(),
        attemptRecord({ attempt: 2, role: "continuation", firstTokenAt }),
      ],
    },
  });
  expect(decisionRecord(withSecond(undefined), context).continued).toBe(false);
  expect(decisionRecord(withSecond(1_100), context).continued).toBe(true);
});

test("a name that a client chose is kept short", () => {
  const request = finished("1", { tenant: "t".repeat(9_000) });
  expect(decisionRecord(request, context).tenant).toHaveLength(128);
});
