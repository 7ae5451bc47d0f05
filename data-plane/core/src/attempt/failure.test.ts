import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  classOf,
  type FailureKind,
  failureRules,
  healthClass,
  isUnsent,
  judgeStatus,
  ruleOf,
  upstreamFailure,
} from "./failure.ts";

const text = readFileSync(new URL("../../../../docs/errors.md", import.meta.url), "utf8");
const section =
  text.split("## What each failure of an upstream leads to")[1]?.split("\n## ")[0] ?? "";

/** Cells of each row of the tables in the section. */
const rows = section
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );

describe("docs/errors.md and the code say the same", () => {
  test("of what follows from each failure", () => {
    const documented = rows.flatMap((row) => {
      const name = row[1]?.match(/^`(.*)`$/)?.[1];
      return name === undefined ? [] : [[name, row.slice(2)] as const];
    });
    const inForce = Object.entries(failureRules).map(([name, rule]) => [
      name,
      [rule.fault, yes(rule.retried), yes(rule.spends), yes(rule.continued), rule.health],
    ]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(inForce));
    expect(documented).toHaveLength(inForce.length);
  });

  test("of what each status is taken for", () => {
    const verdicts = new Map<string, string>();
    for (const [statuses, verdict] of rows.filter((row) => row.length === 3)) {
      for (const status of statuses?.match(/\d{3}/g) ?? []) {
        verdicts.set(statuses?.includes("Retry-After") ? `${status}+` : status, verdict ?? "");
      }
    }
    for (let status = 200; status < 600; status++) {
      const isOk = status < 300;
      const alone = verdicts.get(String(status)) ?? (isOk ? verdicts.get("200") : "target-fault");
      expect([status, judgeStatus(status, false)]).toEqual([status, alone]);
      const told = verdicts.get(`${status}+`) ?? alone;
      expect([status, judgeStatus(status, true)]).toEqual([status, told]);
    }
  });
});

function yes(value: boolean): string {
  return value ? "yes" : "no";
}

test.each<[number, string, string]>([
  [401, "status-credentials", "failure"],
  [403, "status-credentials", "failure"],
  [404, "status-not-served", "none"],
  [400, "status-not-served", "none"],
  [501, "status-unsupported", "none"],
  [500, "status-server", "failure"],
  [503, "status-server", "failure"],
  [408, "status-other", "none"],
  [301, "status-other", "none"],
])("the status %d of a target is %s, and says about health: %s", (status, name, health) => {
  const failure = upstreamFailure("status", "x", { status });
  expect(classOf(failure)).toBe(name);
  expect(healthClass(failure)).toBe(health);
});

test("what a client can cause never counts against a target", () => {
  for (const status of [400, 404, 405, 408, 413, 422, 501]) {
    expect(healthClass(upstreamFailure("status", "x", { status }))).toBe("none");
  }
});

test("a call is free where nothing was sent, and only there or where it was refused at the door", () => {
  const free = Object.entries(failureRules).flatMap(([kind, rule]) =>
    rule.retried && !rule.spends ? [kind] : [],
  );
  expect(free.sort()).toEqual([
    "connect",
    "connect-timeout",
    "dns",
    "region-refused",
    "status-credentials",
    "status-not-served",
    "status-unsupported",
    "tls",
  ]);
  const unsent: readonly FailureKind[] = ["connect", "connect-timeout", "dns", "tls"];
  expect(unsent.every((kind) => isUnsent(upstreamFailure(kind, "x")))).toBe(true);
  expect(isUnsent(upstreamFailure("no-answer", "x"))).toBe(false);
});

test("nothing is tried again, nor gone on with, when the request's time is over", () => {
  const rule = ruleOf(upstreamFailure("total-timeout", "x"));
  expect([rule.retried, rule.continued]).toEqual([false, false]);
});
