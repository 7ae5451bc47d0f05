import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { ReadingPlan, type ReadingResult } from "./reading-plan.ts";

/** How often a server is read in a minute, when its readings end like this. */
function readings(result: ReadingResult, inFlight: number, seed = "plan"): number {
  const plan = new ReadingPlan(seededRandom(seed));
  plan.arrange(["a"]);
  let count = 0;
  for (let now = 0; now < 60_000; now += 100) {
    for (const name of plan.due(() => inFlight, now)) {
      count += 1;
      plan.ended(name, result, now);
    }
  }
  return count;
}

test.each([
  ["a server that works, twice a second", { kind: "read", requests: 4 }, 4, 100, 130],
  [
    "one that does not tell how much it has, as often",
    { kind: "read", requests: undefined },
    4,
    100,
    130,
  ],
  ["an idle one each four seconds", { kind: "read", requests: 0 }, 0, 14, 17],
  ["one that does not answer each four seconds", { kind: "failed" }, 4, 14, 17],
  ["one without such metrics once a minute", { kind: "silent" }, 4, 1, 2],
  [
    "one that eight proxies load alike, twice a second by each",
    { kind: "read", requests: 32 },
    4,
    100,
    130,
  ],
  [
    "one that 32 proxies load, each two seconds by each",
    { kind: "read", requests: 128 },
    4,
    27,
    34,
  ],
  [
    "one that 1,000 proxies load, never seldomer than a reading is good",
    { kind: "read", requests: 4_000 },
    4,
    14,
    18,
  ],
] as const)("%s", (_, result, inFlight, least, most) => {
  const count = readings(result, inFlight);
  expect(count).toBeGreaterThanOrEqual(least);
  expect(count).toBeLessThanOrEqual(most);
});

test("a server gets its first request: it is read at once, not after four seconds", () => {
  const plan = new ReadingPlan(seededRandom("x"));
  plan.arrange(["a"]);
  expect(plan.due(() => 0, 0)).toEqual(["a"]);
  plan.ended("a", { kind: "read", requests: 0 }, 0);
  expect(plan.due(() => 0, 1_000)).toEqual([]);
  expect(plan.due(() => 1, 1_000)).toEqual(["a"]);
});

test("one reading of a server is under way at a time, also over a change of the policy", () => {
  const plan = new ReadingPlan(seededRandom("x"));
  plan.arrange(["a", "b"]);
  expect(plan.due(() => 1, 0)).toEqual(["a", "b"]);
  plan.ended("b", { kind: "failed" }, 10);
  plan.arrange(["a", "c"]);
  expect(plan.due(() => 1, 60_000)).toEqual(["c"]);
  plan.ended("gone", { kind: "failed" }, 60_000);
});
