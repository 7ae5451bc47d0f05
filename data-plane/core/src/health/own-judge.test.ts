import { type HealthCounts, noCounts } from "@meridian/proto/health";
import { expect, test } from "vitest";
import { OwnJudge } from "./own-judge.ts";
import type { ToldVerdict } from "./told-verdict.ts";

const backend = (name: string) => ({
  name,
  region: "eu",
  url: "http://x",
  protocol: "openai" as const,
  serves: [{ model: "m", as: "m" }],
  weight: 1,
  concurrencyMax: undefined,
  requestsPerMinute: undefined,
  tokensPerMinute: undefined,
  assistantPrefix: "none" as const,
  probe: { path: "/health", canary: undefined },
  metricsPath: undefined,
});

const view = {
  backends: [backend("a"), backend("b"), backend("c")],
  health: { falseAlarmsPerMonth: 1, fleetBackends: 3 },
};

const out: ToldVerdict = {
  verdict: "unhealthy",
  share: 0,
  isProving: false,
  freezesBaseline: true,
  isAgeing: false,
};

function run(
  judge: OwnJudge,
  seconds: number,
  counts: { readonly [name: string]: Partial<HealthCounts> },
  { from = 0, heard = (_: string): ToldVerdict | undefined => undefined } = {},
): ReadonlyMap<string, ToldVerdict> {
  let verdicts: ReadonlyMap<string, ToldVerdict> = new Map();
  const seen = new Map(
    Object.entries(counts).map(([name, more]) => [name, { ...noCounts, ...more }]),
  );
  for (let second = 1; second <= seconds; second++) {
    verdicts = judge.tick(seen, heard, (from + second) * 1_000);
  }
  return verdicts;
}

function judgeOf(): OwnJudge {
  const judge = new OwnJudge();
  judge.arrange(view);
  return judge;
}

test("alone it ejects what fails, and readmits what proves itself", () => {
  const judge = judgeOf();
  const good = { requests: 10, timed: 10 };
  const ill = run(judge, 3, { a: { requests: 10, failed: 10 }, b: good, c: good });
  expect(ill.get("a")).toMatchObject({ verdict: "unhealthy", share: 0 });
  expect(ill.get("b")).toMatchObject({ verdict: "healthy", share: 1 });
  const proving = run(judge, 11, { a: { probes: 1 }, b: good, c: good }, { from: 3 });
  expect(proving.get("a")).toMatchObject({ isProving: true, share: 0 });
  const back = run(judge, 40, { a: { probes: 1 }, b: good, c: good }, { from: 14 });
  expect(back.get("a")?.verdict).toBe("healthy");
  expect(back.get("a")?.share).toBeLessThan(1);
});

test("what the control plane held out when it fell silent has to prove itself here", () => {
  const judge = judgeOf();
  const heard = (name: string) => (name === "a" ? out : undefined);
  const before = run(judge, 3, { a: {} }, { heard });
  expect(before.get("a")?.verdict).toBe("healthy");
  const after = run(judge, 2, { a: {} }, { from: 3 });
  expect(after.get("a")).toMatchObject({ verdict: "unhealthy", isProving: true });
  const back = run(judge, 40, { a: { probes: 1 } }, { from: 5 });
  expect(back.get("a")?.verdict).toBe("healthy");
});

test("what the control plane let back in before it fell silent is in here, too", () => {
  const judge = judgeOf();
  run(judge, 3, { a: {} }, { heard: () => out });
  run(judge, 1, { a: {} }, { from: 3, heard: () => ({ ...out, verdict: "healthy", share: 1 }) });
  expect(run(judge, 2, { a: {} }, { from: 4 }).get("a")?.verdict).toBe("healthy");
});

test("a new policy keeps what was learned", () => {
  const judge = judgeOf();
  run(judge, 3, { a: { requests: 10, failed: 10 } });
  judge.arrange({ ...view, backends: [backend("a"), backend("d")] });
  const after = run(judge, 1, {}, { from: 3 });
  expect(after.get("a")?.verdict).toBe("unhealthy");
  expect([...after.keys()]).toEqual(["a", "d"]);
});
