import { assert } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { FinishedExchange } from "../server/index.ts";
import { fitsColumns } from "./decision-columns.ts";
import { decisionRecord } from "./decision-record.ts";
import { DecisionRing } from "./decision-ring.ts";
import { attemptRecord, broken, finished } from "./test-finished.ts";

const unasked = { outcome: undefined, ending: "refused", firstTokenMs: undefined, status: 401 };

function gone(): FinishedExchange {
  const { outcome, ...request } = finished("a", { ending: "client-gone", status: 499 });
  assert(outcome !== undefined, "it was admitted");
  const never = { headersAt: undefined, firstTokenAt: undefined, slow: true };
  const attempts = [attemptRecord({ ...never, outcome: "cancelled", role: "first" })];
  const usage = { inputTokens: 3, outputTokens: 0, exact: false };
  return { ...request, outcome: { ...outcome, ending: { kind: "client-gone" }, attempts, usage } };
}

function retried(): FinishedExchange {
  const { outcome, ...request } = finished("a");
  assert(outcome !== undefined, "it was admitted");
  return { ...request, outcome: { ...outcome, attempts: [attemptRecord(), attemptRecord()] } };
}

const who = { proxy: "p", region: "eu" };

test("whatever is added, the ring holds the newest, newest first, and no more", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(30), (recordsMax, count) => {
      const ring = new DecisionRing({ ...who, recordsMax });
      for (let each = 0; each < count; each += 1) {
        const request = finished(String(each), { arrivedAtMs: 1_000 + each });
        // Some do not fit the columns.
        if (each % 3 === 0) ring.addRecord(decisionRecord(request, { ...who, stateAgeMs: 1 }));
        else ring.add(request, 1);
      }
      const kept = Math.min(count, recordsMax);
      const expected = Array.from({ length: kept }, (_, back) => `dec_${count - 1 - back}`);
      expect(ring.latest(100).map((each) => each.id)).toEqual(expected);
      expect(ring.oldestMs()).toBe(kept === 0 ? 0 : 1_000 + count - kept);
    }),
  );
});

test("a request is found by either id, and one that was pushed out is not", () => {
  const ring = new DecisionRing({ ...who, recordsMax: 2 });
  for (const id of ["a", "b", "c"]) ring.add(finished(id), 1);
  expect(ring.find("dec_b", 9).map((each) => each.id)).toEqual(["dec_b"]);
  expect(ring.find("req_c", 9).map((each) => each.id)).toEqual(["dec_c"]);
  expect(ring.find("dec_a", 9)).toEqual([]);
  expect(ring.find("", 9)).toEqual([]);
});

test("of a request id that was used again and again the newest are found, up to the limit", () => {
  const ring = new DecisionRing({ ...who, recordsMax: 9 });
  for (const id of ["a", "b", "c"]) ring.add(finished(id, { requestId: "same" }), 1);
  expect(ring.find("same", 2).map((each) => each.id)).toEqual(["dec_c", "dec_b"]);
});

test("the age of the state is each record's own; without state there is none", () => {
  const ring = new DecisionRing({ ...who, recordsMax: 3 });
  ring.add(finished("a"), Number.NaN);
  ring.add(finished("b"), 70);
  expect(ring.latest(3).map((each) => each.stateAgeMs)).toEqual([70, undefined]);
});

test.each([
  ["one that was answered", finished("a")],
  ["one that was refused before any attempt", finished("a", unasked)],
  [
    "one that another region sent",
    finished("a", { arrivedFrom: "us", errorCode: "x", stream: false }),
  ],
  ["one whose client left before a token", gone()],
])("%s comes out of the columns as it went in", (_, request) => {
  const ring = new DecisionRing({ ...who, recordsMax: 1 });
  // What was there before must not shine through.
  ring.add(finished("before"), 1);
  expect(fitsColumns(request)).toBe(true);
  ring.add(request, 70);
  expect(ring.latest(1)).toEqual([decisionRecord(request, { ...who, stateAgeMs: 70 })]);
});

test.each([
  ["a broken stream", broken("a")],
  ["a retry", retried()],
])("%s does not fit the columns", (_, request) => {
  expect(fitsColumns(request)).toBe(false);
});
