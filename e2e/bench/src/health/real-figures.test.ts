import { expect, test } from "vitest";
import { holds } from "../report/figures.ts";
import type { FaultRun } from "./real/fault-run.ts";
import { hardKill, threeTimesSlower, wrongAnswers } from "./real/faults.ts";
import type { ClientError } from "./real/load.ts";
import type { RealRuns } from "./real/real-runs.ts";
import { realFigures } from "./real-figures.ts";

const killed: FaultRun = {
  backend: "kill-a",
  ejectedMs: [300, 500],
  degradedMs: 1_500,
  unhealthyMs: 1_500,
  reason: "24 of 30 requests failed",
  letInMs: 26_000,
  wholeMs: 86_000,
  requests: 2_600,
  errors: [],
};
const slow: FaultRun = {
  ...killed,
  ejectedMs: [],
  degradedMs: 4_000,
  unhealthyMs: Number.NaN,
  letInMs: Number.NaN,
};
const error: ClientError = { sentAt: 0, endedAt: 1, kind: "before", cause: "status 502" };

function fallen(fault: RealRuns["faults"][number]["fault"], ...runs: readonly FaultRun[]) {
  const real: RealRuns = {
    fleet: 15,
    faults: [{ fault, runs }],
    wholePool: undefined,
    withoutControl: undefined,
    requests: 9_000,
    errors: runs.flatMap((each) => each.errors),
  };
  const simulated = () => ({ ejectedP95: 0.9, mean: 1.5, p95: 2.5 });
  return realFigures(real, fault.trouble === undefined ? () => undefined : simulated)
    .filter((each) => !holds(each))
    .map((each) => each.name);
}

test("runs that are as they should be hold every bar", () => {
  expect(fallen(hardKill, killed, killed)).toEqual([]);
  expect(fallen(threeTimesSlower, slow)).toEqual([]);
  expect(fallen(wrongAnswers, { ...killed, degradedMs: 50_000 })).toEqual([]);
});

test.each([
  ["an error before the first token", { errors: [error] }, "errors before the first token"],
  ["a late ejection", { ejectedMs: [1_200], unhealthyMs: 1_500 }, "first proxy's ejection"],
  ["a late verdict", { unhealthyMs: 60_000 }, "to unhealthy"],
  ["no verdict", { unhealthyMs: Number.NaN }, "to unhealthy"],
  ["a late return", { letInMs: 130_000 }, "to let in"],
])("%s of one run falls short", (_, more, name) => {
  expect(fallen(hardKill, killed, { ...killed, ...more }).join()).toContain(name);
});

test("a slow backend that was taken out falls short, and so does a wrong one that nobody found", () => {
  const ejected = { ...slow, unhealthyMs: 9_000 };
  expect(fallen(threeTimesSlower, slow, ejected).join()).toContain("ever ejected");
  const unseen = { ...slow, degradedMs: Number.NaN };
  expect(fallen(wrongAnswers, unseen).join()).toContain("to degraded");
});

test("a stream that broke after its first token is shown, and judges nothing", () => {
  expect(fallen(hardKill, { ...killed, errors: [{ ...error, kind: "after" }] })).toEqual([]);
});
