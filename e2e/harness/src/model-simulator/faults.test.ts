import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { type FaultRule, FaultSet, parseFaultRule, rulesMax } from "./faults.ts";

const always: FaultRule = {
  fault: { kind: "reset-before-headers" },
  share: 1,
  count: undefined,
  model: undefined,
  port: undefined,
};

test("a rule with a count is gone after so many requests", () => {
  const faults = new FaultSet(seededRandom("faults"));
  faults.add({ ...always, count: 2 });
  const met = [1, 2, 3].map(() => faults.meet({ model: "m" })?.kind);
  expect(met).toEqual(["reset-before-headers", "reset-before-headers", undefined]);
  expect(faults.list()).toEqual([]);
});

test("a rule with a share meets about that share", () => {
  const faults = new FaultSet(seededRandom("faults"));
  faults.add({ ...always, share: 0.25 });
  const met = Array.from({ length: 4_000 }, () => faults.meet({ model: "m" })).filter(
    Boolean,
  ).length;
  expect(met).toBeGreaterThan(900);
  expect(met).toBeLessThan(1_100);
});

test("a rule for one model leaves the others alone", () => {
  const faults = new FaultSet(seededRandom("faults"));
  faults.add({ ...always, model: "a" });
  expect(faults.meet({ model: "b" })).toBeUndefined();
  expect(faults.meet({ model: "a" })).toBeDefined();
});

test("rules are bounded, and leave when taken back", () => {
  const faults = new FaultSet(seededRandom("faults"));
  for (let index = 0; index < rulesMax; index++) faults.add(always);
  expect(faults.add(always)).toBeUndefined();
  faults.remove();
  expect(faults.meet({ model: "m" })).toBeUndefined();
});

test("everything wrong with a rule is said at once", () => {
  const parsed = parseFaultRule({ kind: "status", status: 99, share: 2 });
  expect(parsed).toMatchObject({ kind: "err" });
  if (parsed.kind === "err") expect(parsed.error).toHaveLength(2);
});

test.each([
  [{ kind: "status", status: 503, retryAfterSeconds: 1 }, "ok"],
  [{ kind: "end-at-token", token: 3 }, "ok"],
  [{ kind: "end-at-token" }, "err"],
  [{ kind: "slow", factor: 0.5 }, "err"],
  [{ kind: "explode" }, "err"],
  ["status", "err"],
])("%j is read as %s", (value, kind) => {
  expect(parseFaultRule(value).kind).toBe(kind);
});
