import { create } from "@bufbuild/protobuf";
import { problem } from "@meridian/proto/base";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { expect, test } from "vitest";
import { createProxies, fleetLimits, type ProxyNode, type ProxyReport } from "./proxies.ts";

const node = (id: string, region = "eu"): ProxyNode => ({ id, region, build: "1.0.0" });
const version = (sequence: number) =>
  create(VersionSchema, { epoch: 1n, sequence: BigInt(sequence) });

type BackendReport = ProxyReport["backends"][number];
const backend = (name: string, more: Partial<BackendReport> = {}): BackendReport => ({
  name,
  succeeded: 0,
  failed: 0,
  inFlight: 0,
  pendingTokens: 0,
  ejected: false,
  ...more,
});
const report = (...backends: readonly BackendReport[]): ProxyReport => ({
  applied: version(1),
  backends,
  pools: [],
  stateAgeMs: 300,
  liveRequests: 2,
  draining: false,
});

test("a proxy is known by its hello, its answers and its reports", () => {
  const proxies = createProxies();
  proxies.greet(node("p"), 1_000);
  expect(proxies.list(1_500)).toMatchObject([
    { id: "p", region: "eu", seenMs: 500, applied: undefined, isFresh: false, isReady: false },
  ]);
  proxies.ack(node("p"), version(1), 2_000);
  expect(proxies.list(2_000)).toMatchObject([{ seenMs: 0, applied: version(1), isReady: false }]);
  proxies.report(node("p"), report(), 3_000);
  expect(proxies.list(3_000)).toMatchObject([
    { isFresh: true, isReady: true, stateAgeMs: 300, liveRequests: 2 },
  ]);
});

test("what a proxy refused is told until it accepts something", () => {
  const proxies = createProxies();
  const problems = Array.from({ length: 20 }, (_, at) => problem("unfit", `${at}`, "no"));
  proxies.nack(node("p"), problems, 0);
  expect(proxies.list(0)[0]?.refused).toEqual(problems.slice(0, fleetLimits.refusedMax));
  proxies.ack(node("p"), version(2), 1);
  expect(proxies.list(1)[0]?.refused).toEqual([]);
});

test("a proxy that falls silent, drains, or has no policy is not ready", () => {
  const proxies = createProxies();
  proxies.report(node("silent"), report(), 0);
  proxies.report(node("leaving"), { ...report(), draining: true }, 4_999);
  proxies.report(node("blank"), { ...report(), applied: undefined }, 4_999);
  const ready = (now: number) => proxies.list(now).filter((each) => each.isReady).length;
  expect(ready(4_999)).toBe(1);
  expect(ready(5_000)).toBe(0);
});

test("one region's proxies can't speak for another's", () => {
  const proxies = createProxies();
  proxies.report(node("p", "eu"), report(backend("eu-a", { succeeded: 1 })), 0);
  proxies.report(node("p", "us"), report(backend("eu-a", { ejected: true, failed: 9 })), 0);
  expect(proxies.list(0)).toHaveLength(2);
  expect(proxies.backend("eu", "eu-a", 0)).toEqual({
    state: "available",
    inFlight: 0,
    pendingTokens: 0,
    ejectedBy: 0,
    succeeded: 1,
    failed: 0,
  });
});

test("without a fresh proxy nothing is known of a backend", () => {
  const proxies = createProxies();
  expect(proxies.backend("eu", "a", 0).state).toBe("unknown");
  proxies.report(node("p"), report(backend("a", { ejected: true })), 0);
  expect(proxies.backend("eu", "a", 4_999).state).toBe("ejected");
  expect(proxies.backend("eu", "a", 5_000).state).toBe("unknown");
});

test("those that keep a backend out are weighed against those that had success, not against the idle", () => {
  const proxies = createProxies();
  const ejecting = report(backend("a", { ejected: true, inFlight: 1 }));
  const succeeding = report(backend("a", { succeeded: 3, inFlight: 2 }));
  proxies.report(node("p1"), ejecting, 0);
  proxies.report(node("p2"), report(), 0);
  proxies.report(node("p3"), report(backend("a")), 0);
  expect(proxies.backend("eu", "a", 0)).toMatchObject({ state: "ejected", ejectedBy: 1 });
  proxies.report(node("p2"), succeeding, 0);
  expect(proxies.backend("eu", "a", 0)).toMatchObject({ state: "available", inFlight: 3 });
  proxies.report(node("p3"), ejecting, 0);
  expect(proxies.backend("eu", "a", 0)).toMatchObject({ state: "ejected", ejectedBy: 2 });
});

test("a success speaks for a backend for ten seconds, also in reports that don't name it", () => {
  const proxies = createProxies();
  proxies.report(node("witness"), report(backend("a", { succeeded: 1 })), 0);
  for (const now of [4_000, 8_000, 9_999, 10_000]) {
    proxies.report(node("witness"), report(), now);
    proxies.report(node("other"), report(backend("a", { ejected: true })), now);
    const { state } = proxies.backend("eu", "a", now);
    expect(state).toBe(now < 10_000 ? "available" : "ejected");
  }
});

test("an ejection ends with the first report without it", () => {
  const proxies = createProxies();
  proxies.report(node("p"), report(backend("a", { ejected: true })), 0);
  proxies.report(node("p"), report(), 1_000);
  expect(proxies.backend("eu", "a", 1_000)).toMatchObject({ state: "available", ejectedBy: 0 });
});

test("when there is no room a silent proxy goes before a new one is turned away", () => {
  const proxies = createProxies(2);
  proxies.greet(node("old"), 0);
  proxies.greet(node("new"), 6_000);
  expect(proxies.greet(node("third"), 6_000)).toBe(true);
  expect(proxies.list(6_000).map((each) => each.id)).toEqual(["new", "third"]);
  expect(proxies.greet(node("fourth"), 6_001)).toBe(false);
  expect(proxies.report(node("fourth"), report(), 6_001)).toBe(false);
  expect(proxies.report(node("third"), report(), 6_001)).toBe(true);
});

test("the silent are forgotten after a while", () => {
  const proxies = createProxies();
  proxies.greet(node("p"), 0);
  proxies.prune(fleetLimits.forgetMs - 1);
  expect(proxies.list(0)).toHaveLength(1);
  proxies.prune(fleetLimits.forgetMs);
  expect(proxies.list(0)).toHaveLength(0);
});

test("tokens to do are those of the fresh proxies' newest reports", () => {
  const proxies = createProxies();
  const held = (heldTokens: number) => ({
    ...report(backend("a", { inFlight: 1, pendingTokens: 300 })),
    pools: [{ model: "m", heldTokens }],
  });
  proxies.report(node("p1"), held(40), 0);
  proxies.report(node("p2"), held(2), 3_000);
  proxies.report(node("us-p", "us"), held(9), 3_000);
  expect(proxies.backend("eu", "a", 3_000).pendingTokens).toBe(600);
  expect(proxies.heldTokens("eu", 3_000).get("m") ?? 0).toBe(42);
  expect(proxies.heldTokens("eu", 3_000).get("other") ?? 0).toBe(0);
  expect(proxies.backend("eu", "a", 5_000).pendingTokens).toBe(300);
  expect(proxies.heldTokens("eu", 5_000).get("m") ?? 0).toBe(2);
  proxies.report(node("p2"), report(), 6_000);
  expect(proxies.backend("eu", "a", 6_000).pendingTokens).toBe(0);
  expect(proxies.heldTokens("eu", 6_000).get("m") ?? 0).toBe(0);
});
