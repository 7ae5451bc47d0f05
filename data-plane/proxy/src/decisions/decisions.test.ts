import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { upstreamFailure } from "@meridian/data-core/attempt";
import { expect, test } from "vitest";
import { useFolder } from "../test-proxy.ts";
import { createDecisions } from "./decisions.ts";
import { attemptRecord, broken, failed, finished } from "./test-finished.ts";

const root = useFolder();
let folders = 0;

function open(more: { readonly dataDir?: string; readonly recordsMax?: number } = {}) {
  let now = 0;
  const dataDir = more.dataDir ?? join(root, String(++folders));
  const decisions = createDecisions({
    id: "proxy-eu-1",
    region: "eu",
    clock: { now: () => now, wall: () => 0 },
    recordsMax: more.recordsMax ?? 10,
    dataDir,
    failed: (cause) => {
      throw cause;
    },
  });
  const pass = (ms: number) => {
    now += ms;
  };
  return { decisions, dataDir, pass, path: join(dataDir, "decisions", "main.jsonl") };
}

const foundIds = async (found: Promise<{ readonly records: readonly { readonly id: string }[] }>) =>
  (await found).records.map((each) => each.id);

test("a request that the first backend answered never costs a write", async () => {
  const { decisions, path } = open();
  decisions.record(finished("a"));
  await decisions.close();
  expect(await foundIds(decisions.find("dec_a"))).toEqual(["dec_a"]);
  expect(existsSync(path)).toBe(false);
});

test.each([
  ["a broken stream", broken("a")],
  ["a retry", finished("a", { outcome: withAttempts(2) })],
  ["a refusal before any attempt", finished("a", { ending: "refused", outcome: undefined })],
  ["a client that left", finished("a", { ending: "client-gone", status: 499 })],
] as const)("%s is found after a restart", async (_, request) => {
  const { decisions, dataDir } = open();
  decisions.record(request);
  await decisions.close();
  const again = open({ dataDir }).decisions;
  expect(await foundIds(again.find("dec_a"))).toEqual(["dec_a"]);
  expect(await again.latest(9)).toHaveLength(1);
});

function withAttempts(count: number) {
  const { outcome } = finished("x");
  if (outcome === undefined) throw new Error("it has one");
  const attempts = Array.from({ length: count }, (_, at) => attemptRecord({ attempt: at + 1 }));
  return { ...outcome, attempts };
}

test("what is in memory and on disk is told once, the newest first", async () => {
  const { decisions } = open({ recordsMax: 2 });
  for (const id of ["a", "b", "c"]) decisions.record(broken(id));
  expect((await decisions.latest(9)).map((each) => each.id)).toEqual(["dec_c", "dec_b", "dec_a"]);
  expect(await foundIds(decisions.find("dec_c"))).toEqual(["dec_c"]);
});

test("an outage is written at a bounded rate, and what is left out is counted", async () => {
  const { decisions, pass } = open();
  for (let each = 0; each < 1_000; each += 1) decisions.record(broken(String(each)));
  expect(decisions.dropped()).toBe(800);
  pass(1_000);
  for (let each = 0; each < 100; each += 1) decisions.record(broken(`later${each}`));
  expect(decisions.dropped()).toBe(880);
  await decisions.close();
});

test("clients with wrong keys use up nothing of what failures may write", async () => {
  const { decisions } = open();
  const denied = { ending: "refused", status: 401, outcome: undefined } as const;
  for (let each = 0; each < 1_000; each += 1) decisions.record(finished(String(each), denied));
  expect(decisions.dropped()).toBe(980);
  decisions.record(finished("ours", { ending: "refused", status: 503, outcome: undefined }));
  expect(decisions.dropped()).toBe(980);
  await decisions.close();
});

test("a stream that broke after its head is a failure of ours, whatever its status", async () => {
  const { decisions } = open();
  for (let each = 0; each < 100; each += 1) decisions.record(broken(String(each)));
  expect(decisions.dropped()).toBe(0);
  await decisions.close();
});

test("the age of the state is that at the request's end", async () => {
  const { decisions, pass } = open();
  decisions.record(finished("a"));
  decisions.stateSeen();
  pass(250);
  decisions.record(finished("b"));
  decisions.record(broken("c"));
  const ages = (await decisions.latest(3)).map((each) => each.stateAgeMs);
  expect(ages).toEqual([250, 250, undefined]);
});

test("an upstream's own words are neither kept nor written", async () => {
  const { decisions, path } = open();
  decisions.record(broken("a", "you said: MARKER"));
  decisions.record(failed("b", upstreamFailure("status", "MARKER", { status: 500 })));
  await decisions.close();
  expect(readFileSync(path, "utf8")).not.toContain("MARKER");
  const { records } = await decisions.find("dec_a");
  expect(records[0]?.attempts[0]?.failure?.message).not.toContain("MARKER");
});

test("with 0 nothing is kept at all", async () => {
  const { decisions, path } = open({ recordsMax: 0 });
  decisions.record(broken("a"));
  await decisions.close();
  expect(await decisions.find("dec_a")).toEqual({ records: [], oldestMs: 0 });
  expect(existsSync(path)).toBe(false);
});
