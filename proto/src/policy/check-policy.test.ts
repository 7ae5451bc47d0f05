import { expect, test } from "vitest";
import { assert, refuses } from "../base/index.ts";
import { checkPolicy } from "./check-policy.ts";
import { parsePolicy } from "./parse-policy.ts";
import { findingsWith, plainDocument, sampleDocument, samplePolicy } from "./sample-policy.ts";

test("a sound policy has nothing to be said against it", () => {
  expect(findingsWith({})).toEqual([]);
});

test("the sample with every field has warnings alone, one for each field not in force", () => {
  const problems = checkPolicy(samplePolicy());
  expect(refuses(problems)).toBe(false);
  expect(problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
    "not_in_force models[0].contextTokens",
    "not_in_force models[0].features",
    "not_in_force models[0].degradeTo",
    "not_in_force routes[0].fallback",
    "not_in_force tenants[0].priority",
    "not_in_force tenants[0].limits",
  ]);
});

test("hints name what exists, and what was probably meant", () => {
  const parsed = parsePolicy({
    ...plainDocument(),
    routes: [
      { name: "all", targets: [{ model: "smal" }, { model: "default" }, { model: "zebra" }] },
    ],
  });
  const problems = parsed.kind === "ok" ? checkPolicy(parsed.value) : [];
  expect(problems.map((each) => each.hint)).toEqual([
    "did you mean small?",
    "that is an alias; write big",
    "models are: big, small",
  ]);
});

test("no key is ever repeated in a message, well formed or not", () => {
  const document = sampleDocument();
  const secret = "sk-do-not-tell";
  document.tenants.push({ name: "leak", keys: [{ sha256: secret }, { sha256: secret }] });
  const parsed = parsePolicy(document);
  const problems = parsed.kind === "ok" ? checkPolicy(parsed.value) : [];
  expect(problems.map((each) => each.code)).toContain("not_sha256");
  expect(problems.map((each) => each.code)).toContain("duplicate_key");
  expect(JSON.stringify(problems)).not.toContain(secret);
});

test("the largest policy that is allowed is checked within seconds, also where all names dangle", () => {
  const many = (count: number, make: (at: number) => object) =>
    Array.from({ length: count }, (_, at) => make(at));
  const largest = (to: (at: number) => string) => ({
    regions: many(64, (at) => ({
      name: `r${at}`,
      peers: [`r${at}:1`],
      location: { lat: 0, lon: 0 },
    })),
    backends: many(10_000, (at) => ({
      name: `b${at}`,
      region: `r${at % 64}`,
      url: `http://b${at}:1`,
      serves: [{ model: to(at % 2_000) }],
    })),
    models: many(2_000, (at) => ({
      name: `m${at}`,
      degradeTo: many(5, (next) => ({ next })).map((_, next) => to(at + next + 1)),
    })),
    routes: many(2_000, (at) => ({
      name: `t${at}`,
      match: { models: [`*${at}*`, `m${at}`, `${at}*x`] },
      targets: [{ model: to(at) }],
    })),
    tenants: many(10_000, (at) => ({
      name: `n${at}`,
      keys: [{ sha256: at.toString(16).padStart(64, "0") }],
      residency: many(6, (next) => ({ next })).map(
        (_, next) => `r${(at * 7 + next * (1 + (at % 9))) % 64}`,
      ),
    })),
  });
  for (const to of [(at: number) => `m${Math.min(at, 1_999)}`, (at: number) => `x${at}`]) {
    const started = performance.now();
    const parsed = parsePolicy(largest(to));
    assert(parsed.kind === "ok", "it is well formed");
    checkPolicy(parsed.value);
    expect(performance.now() - started).toBeLessThan(10_000);
  }
});
