import type { EngineReport, TargetReport } from "@meridian/data-core/engine";
import type { ToldVerdict } from "@meridian/data-core/health";
import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OwnHealth } from "./own-health.ts";

// Time is the test's; the network is the machine's.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
const opened: OwnHealth[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const each of opened.splice(0)) await each.close();
});

/** Nobody listens on the port that Discard had: connections are refused at once. */
const url = "http://127.0.0.1:9";

const wait = { timeout: 15_000, interval: 10 };

const policy = (weight = 1) => ({
  regions: [{ name: "eu" }],
  backends: ["a", "b", "c"].map((name) => ({
    name,
    region: "eu",
    url,
    weight,
    serves: [{ model: "m" }],
  })),
  models: [{ name: "m" }],
  routes: [{ name: "r", match: { models: ["*"] } }],
});

const blank: TargetReport = {
  name: "",
  region: "eu",
  started: 0,
  succeeded: 0,
  failed: 0,
  slow: 0,
  inFlight: 0,
  pendingTokens: 0,
  doneTokens: 0,
  waiting: undefined,
  ejected: false,
  draining: false,
  connectFailed: 0,
  timed: 0,
  told: undefined,
  heard: undefined,
  // Somebody else probes: this proxy does not.
  probers: ["other"],
  canaryVector: [],
  available: true,
};

const heldOut: ToldVerdict = {
  verdict: "unhealthy",
  share: 0,
  isProving: false,
  freezesBaseline: true,
  isAgeing: false,
};

type Target = { -readonly [K in keyof TargetReport]: TargetReport[K] };

function open() {
  const targets = new Map<string, Target>(
    ["a", "b", "c"].map((name) => [name, { ...blank, name }]),
  );
  const state: { now: number; stateAgeMs: number | undefined } = { now: 0, stateAgeMs: 100 };
  const judged: ReadonlyMap<string, ToldVerdict>[] = [];
  const lines: string[] = [];
  const write = (fields: object, message: string) => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const report = (): EngineReport => ({
    version: undefined,
    region: "eu",
    draining: false,
    stateAgeMs: state.stateAgeMs,
    liveRequests: 0,
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    edge: { answered: 0, failed: 0 },
    backends: [...targets.values()].map((each) => ({ ...each })),
    peers: [],
    pools: [],
  });
  const health = new OwnHealth({
    id: "proxy-1",
    clock: { now: () => state.now, wall: () => state.now },
    random: seededRandom("own"),
    // pino's LogFn has more forms than are used here.
    logger: { debug: write, info: write, warn: write } as unknown as ConstructorParameters<
      typeof OwnHealth
    >[0]["logger"],
    listeners: { report, judge: (verdicts) => judged.push(verdicts) },
  });
  opened.push(health);
  health.arrange(fixtureSnapshot("eu", policy()));
  /** So many seconds with so many requests on each of some backends. */
  const seconds = (
    count: number,
    more: { [name: string]: readonly [good: number, bad: number] },
  ) => {
    for (let each = 0; each < count; each++) {
      for (const [name, [good, bad]] of Object.entries(more)) {
        const target = targets.get(name);
        if (target === undefined) continue;
        target.succeeded += good;
        target.failed += bad;
      }
      state.now += 1_000;
      vi.advanceTimersByTime(1_000);
    }
  };
  const set = (name: string, more: Partial<Target>) => {
    const target = targets.get(name);
    if (target !== undefined) Object.assign(target, more);
  };
  const verdict = (name: string) => judged.at(-1)?.get(name);
  return { health, state, judged, lines, seconds, set, verdict };
}

test("each second all threads are told what this proxy thinks of each backend", () => {
  const { judged, seconds, verdict } = open();
  seconds(3, { a: [0, 10], b: [10, 0], c: [10, 0] });
  expect(judged).toHaveLength(3);
  expect(verdict("a")).toMatchObject({ verdict: "unhealthy", share: 0 });
  expect(verdict("b")).toMatchObject({ verdict: "healthy", share: 1 });
});

test("what was counted before a second is no evidence of that second", () => {
  const { seconds, set, verdict } = open();
  seconds(1, {});
  set("a", { succeeded: 5_000 });
  seconds(1, {});
  seconds(3, { a: [0, 10], b: [10, 0], c: [10, 0] });
  expect(verdict("a")?.verdict).toBe("unhealthy");
});

test("what the control plane holds out when it falls silent has to prove itself to this proxy", () => {
  const { seconds, set, state, verdict } = open();
  set("a", { heard: heldOut, told: heldOut });
  seconds(3, { b: [10, 0], c: [10, 0] });
  // This proxy has nothing against it: it sees none of its requests.
  expect(verdict("a")?.verdict).toBe("healthy");
  state.stateAgeMs = 16_000;
  // From now on its own word is what is followed.
  set("a", { heard: undefined, told: verdict("a") });
  seconds(1, {});
  expect(verdict("a")).toMatchObject({ verdict: "unhealthy", isProving: true });
});

test("a control plane that starts anew and knows no verdict yet brings nobody back", () => {
  const { seconds, set, verdict } = open();
  set("a", { heard: heldOut });
  seconds(2, {});
  set("a", { heard: undefined });
  seconds(1, {});
  expect(verdict("a")).toMatchObject({ verdict: "unhealthy", share: 0 });
});

test("a new policy keeps what was learned, and its weights are known at once", () => {
  const { health, seconds, verdict } = open();
  seconds(3, { a: [0, 10], b: [10, 0], c: [10, 0] });
  health.arrange(fixtureSnapshot("eu", policy(7), 2));
  expect(health.weights.get("b")).toBe(7);
  seconds(2, { b: [10, 0], c: [10, 0] });
  expect(verdict("a")?.verdict).toBe("unhealthy");
});

test("that it judges alone is logged once, and so is each change of verdict from then on", () => {
  const { lines, seconds, state } = open();
  seconds(3, { a: [0, 10], b: [10, 0], c: [10, 0] });
  expect(lines).toEqual([]);
  state.stateAgeMs = undefined;
  seconds(2, { b: [10, 0], c: [10, 0] });
  expect(lines).toEqual([
    'judging backends alone {"alone":true}',
    'own verdict changed {"backend":"a","verdict":"unhealthy","before":"healthy"}',
  ]);
  state.stateAgeMs = 10;
  seconds(2, { b: [10, 0], c: [10, 0] });
  expect(lines.slice(2)).toEqual(['following verdicts again {"alone":false}']);
});

test("it probes what it is to probe, and what has to prove itself to it alone", async () => {
  const { health, seconds, set } = open();
  const own = { ...heldOut, isProving: true };
  set("b", { probers: ["other", "proxy-1"] });
  set("c", { told: own });
  seconds(1, {});
  await vi.waitFor(() => {
    seconds(1, {});
    expect(health.probed().get("b")?.probesFailed ?? 0).toBeGreaterThan(1);
    expect(health.probed().get("c")?.probesFailed ?? 0).toBeGreaterThan(1);
  }, wait);
  expect(health.probed().get("a")).toBeUndefined();
  // The control plane has named others, and it is to them that this one has to prove itself.
  const probes = (name: string) => health.probed().get(name)?.probes ?? 0;
  const [known, before] = [probes("b"), probes("c")];
  set("c", { heard: own });
  await vi.waitFor(() => {
    seconds(1, {});
    expect(probes("b")).toBeGreaterThan(known + 3);
  }, wait);
  // One may have been under way.
  expect(probes("c") - before).toBeLessThanOrEqual(1);
});
