import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import {
  type AttemptCommand,
  type Attempts,
  type FailureKind,
  upstreamFailure,
} from "../attempt/index.ts";
import { createEngine, type Engine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

type Document = Parameters<typeof fixtureSnapshot>[1] & { readonly [name: string]: unknown };

/** Of the region's three backends b and c can go on from an assistant's words. Two other regions serve the model, too. */
const document: Document = {
  regions: [
    { name: "eu", location: { lat: 53, lon: -6 }, peers: ["10.0.0.1:1"] },
    { name: "us", location: { lat: 39, lon: -77 }, peers: ["10.0.1.1:1"] },
    { name: "ap", location: { lat: 19, lon: 72 }, peers: ["10.0.2.1:1"] },
  ],
  backends: [
    { name: "a", region: "eu", url: "http://a:1", serves: [{ model: "big" }] },
    {
      name: "b",
      region: "eu",
      url: "http://b:1",
      serves: [{ model: "big" }],
      assistantPrefix: "append",
    },
    {
      name: "c",
      region: "eu",
      url: "http://c:1",
      serves: [{ model: "big" }],
      assistantPrefix: "continue-final-message",
    },
    { name: "us-a", region: "us", url: "http://d:1", serves: [{ model: "big" }] },
    { name: "ap-a", region: "ap", url: "http://e:1", serves: [{ model: "big" }] },
  ],
  models: [{ name: "big", continueStreams: true }],
  routes: [
    {
      name: "all",
      match: { models: ["*"] },
      hedge: { budgetPercent: 50, minMs: 40 },
      retry: { attempts: 5 },
    },
  ],
};

const homeAlone: Document = {
  ...document,
  routes: [
    { name: "all", match: { models: ["*"] }, fallback: ["degrade"], retry: { attempts: 5 } },
  ],
};

const facts: RequestFacts = { ...plainFacts, continuable: true };

function engineWith(given: Document = document, seed = "plan"): Engine {
  const engine = createEngine({ region: "eu", random: seededRandom(seed) });
  const snapshot = fixtureSnapshot("eu", given, 1);
  expect(engine.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  return engine;
}

function begin(engine: Engine, now: number, more: Partial<RequestFacts> = {}) {
  const attempts = engine.begin({ ...facts, ...more }, now);
  return { attempts, first: told(attempts.step({ kind: "start" }, now)) };
}

/** "first a", "retry us/10.0.1.1:1", "finish refused". */
function told(commands: readonly AttemptCommand[]): string {
  const parts = commands.map((each) => {
    if (each.kind === "call") return `${each.role} ${each.choice.candidate.name}`;
    if (each.kind === "hold") return each.kind;
    return each.kind === "finish" ? `finish ${each.ending.kind}` : `${each.kind} ${each.attempt}`;
  });
  return parts.join(", ");
}

type Failing = {
  readonly kind: FailureKind;
  readonly status?: number;
  readonly retryAfterMs?: number;
};

/** The newest call fails; waits out a back-off. */
function fail(attempts: Attempts, { kind, ...more }: Failing, now: number): string {
  const attempt = attempts.records().length;
  const failure = upstreamFailure(kind, "x", more);
  const commands = attempts.step({ kind: "failed", attempt, failure }, now);
  if (commands.length > 0) return told(commands);
  return told(attempts.step({ kind: "tick" }, attempts.wakeAt()));
}

/** Names of the backends that get the first call of many requests. */
function firstCalls(engine: Engine, now: number, more: Partial<RequestFacts> = {}): Set<string> {
  const names = new Set<string>();
  for (let each = 0; each < 60; each++) {
    const { attempts, first } = begin(engine, now, more);
    names.add(first);
    attempts.step({ kind: "client-gone" }, now);
  }
  return names;
}

/** Fails every call that goes to this backend, once; what goes elsewhere is given up. */
function failOn(engine: Engine, name: string, failing: Failing, now: number): void {
  for (let each = 0; each < 200; each++) {
    const { attempts, first } = begin(engine, now);
    if (first !== `first ${name}`) {
      attempts.step({ kind: "client-gone" }, now);
      continue;
    }
    fail(attempts, failing, now);
    attempts.step({ kind: "client-gone" }, now);
    return;
  }
  throw new Error(`${name} was never called`);
}

const full = { kind: "saturated", status: 429, retryAfterMs: 5_000 } as const;

test("who said Retry-After is asked by nobody before its time, and again after it", () => {
  const engine = engineWith();
  failOn(engine, "a", full, 1_000);
  expect(firstCalls(engine, 5_900)).toEqual(new Set(["first b", "first c"]));
  expect(firstCalls(engine, 6_001)).toEqual(new Set(["first a", "first b", "first c"]));
  expect(engine.report(5_900).backends.every((each) => each.available)).toBe(true);
});

test("when all are full, other regions are asked; with none the refusal tells the least wait", () => {
  const abroad = engineWith();
  for (const name of ["a", "b", "c"]) failOn(abroad, name, full, 1_000);
  expect(begin(abroad, 1_100).first).toMatch(/^first us\//);
  const engine = engineWith(homeAlone);
  failOn(engine, "a", full, 1_000);
  failOn(engine, "b", { ...full, retryAfterMs: 2_000 }, 1_000);
  failOn(engine, "c", { ...full, retryAfterMs: 9_000 }, 1_000);
  const attempts = engine.begin(facts, 1_500);
  const cause = {
    last: undefined,
    reason: "every model server that is left is full",
    retryAfterMs: 1_500,
  };
  expect(attempts.step({ kind: "start" }, 1_500)).toEqual([
    { kind: "finish", ending: { kind: "refused", cause } },
  ]);
  expect(begin(engine, 3_001).first).toBe("first b");
});

test("a target that is full without a time, or does not serve the model, comes after its peers alone", () => {
  for (const failing of [
    { kind: "saturated", status: 429 },
    { kind: "status", status: 404 },
  ] as const) {
    const engine = engineWith();
    failOn(engine, "a", failing, 1_000);
    expect(firstCalls(engine, 1_500)).toEqual(new Set(["first b", "first c"]));
    failOn(engine, "b", failing, 1_500);
    failOn(engine, "c", failing, 1_500);
    // None of them is better: they are asked all the same, and before another region.
    expect(firstCalls(engine, 1_600)).toEqual(new Set(["first a", "first b", "first c"]));
    expect(firstCalls(engine, 12_000).size).toBe(3);
  }
});

test("many statuses that clients can cause eject nobody, credentials that won't do eject", () => {
  const engine = engineWith();
  for (let each = 0; each < 30; each++) {
    failOn(engine, "a", { kind: "status", status: 404 }, 20_000 * each);
  }
  const ejected = () => engine.report(600_000).backends.filter((each) => each.ejected).length;
  expect(ejected()).toBe(0);
  for (let each = 0; each < 10; each++)
    failOn(engine, "a", { kind: "status", status: 401 }, 600_000);
  expect(ejected()).toBe(1);
});

/** Teaches the engine that each backend's first token takes 100 ms. */
function warm(engine: Engine, now = 0): void {
  for (let each = 0; each < 150; each++) {
    const { attempts } = begin(engine, now);
    attempts.step({ kind: "token", attempt: 1, continuable: true }, now + 100);
    attempts.step({ kind: "complete", attempt: 1 }, now + 200);
  }
}

/** Lets time pass: the instant of the first command, and what it is; a wait that is but marked as slow commands nothing. */
function firstCommand(attempts: Attempts): readonly [number, string] {
  for (let each = 0; each < 5; each++) {
    const at = attempts.wakeAt();
    const commands = attempts.step({ kind: "tick" }, at);
    if (commands.length > 0) return [at, told(commands)];
  }
  throw new Error("nothing was commanded");
}

test("a hedge goes to another local backend once the p95 of the first has passed", () => {
  const engine = engineWith();
  expect(begin(engine, 0).attempts.wakeAt()).toBe(1_000);
  warm(engine);
  const { attempts, first } = begin(engine, 1_000);
  const [at, hedge] = firstCommand(attempts);
  expect(at - 1_000).toBeGreaterThan(100);
  expect(at - 1_000).toBeLessThan(130);
  expect(hedge).toMatch(/^hedge [abc]$/);
  expect(hedge.at(-1)).not.toBe(first.at(-1));
});

test("neither whole answers nor requests of other regions are hedged, nor is anybody before the policy's least wait", () => {
  const engine = engineWith();
  warm(engine);
  for (const more of [{ stream: false }, { arrivedFrom: "us" }]) {
    const [at, command] = firstCommand(begin(engine, 0, more).attempts);
    // The connection's limit: the next command there is.
    expect(at).toBe(1_000);
    expect(command).not.toMatch(/hedge/);
  }
  const route = { name: "all", match: { models: ["*"] }, hedge: { budgetPercent: 5, minMs: 700 } };
  const patient = engineWith({ ...document, routes: [route] });
  warm(patient);
  const [at, command] = firstCommand(begin(patient, 0).attempts);
  expect(at).toBe(700);
  expect(command).toMatch(/^hedge/);
});

test("hedges end with their budget", () => {
  const engine = engineWith();
  warm(engine);
  let hedges = 0;
  for (let each = 0; each < 100; each++) {
    const { attempts } = begin(engine, 1_000);
    if (told(attempts.step({ kind: "tick" }, 1_200)).startsWith("hedge")) hedges += 1;
    attempts.step({ kind: "client-gone" }, 1_300);
  }
  // 50 % of these, and the 10 that may be saved; the first of them found no room for its share.
  expect(hedges).toBe(59);
});

test("a broken stream goes on from local backends that can, then from other regions, each once", () => {
  for (const seed of ["1", "2", "3", "4", "5", "6"]) {
    const { attempts, first } = begin(engineWith(document, seed), 0);
    attempts.step({ kind: "token", attempt: 1, continuable: true }, 10);
    const asked: string[] = [];
    while (!attempts.finished()) asked.push(fail(attempts, { kind: "reset" }, 20));
    const able = ["b", "c"].filter((name) => first !== `first ${name}`);
    expect(asked.splice(0, able.length).sort()).toEqual(able.map((name) => `continuation ${name}`));
    expect(asked).toEqual([
      "continuation us/10.0.1.1:1",
      "continuation ap/10.0.2.1:1",
      "finish broken",
    ]);
  }
});

test("residency holds for continuations", () => {
  const tenants = [{ name: "acme", keys: [{ sha256: "a".repeat(64) }], residency: ["eu", "ap"] }];
  const { attempts } = begin(engineWith({ ...document, tenants }), 0, { tenant: "acme" });
  attempts.step({ kind: "token", attempt: 1, continuable: true }, 10);
  const asked: string[] = [];
  while (!attempts.finished()) asked.push(fail(attempts, { kind: "reset" }, 20));
  expect(asked.some((each) => each.startsWith("continuation us/"))).toBe(false);
  expect(asked).toContain("continuation ap/10.0.2.1:1");
});

test("a continuation that another region sent goes to backends that can, and is gone on from by its sender alone", () => {
  const engine = engineWith();
  const sent = { isContinuation: true, arrivedFrom: "us" };
  expect(firstCalls(engine, 0, sent)).toEqual(new Set(["first b", "first c"]));
  const { attempts } = begin(engine, 0, sent);
  expect(attempts.mayContinue()).toBe(false);
  attempts.step({ kind: "token", attempt: 1, continuable: true }, 10);
  expect(fail(attempts, { kind: "reset" }, 20)).toBe("finish broken");
});

test.each<[string, Document, Partial<RequestFacts>]>([
  ["the model's policy does not say so", { ...document, models: [{ name: "big" }] }, {}],
  ["the request speaks against it", document, { continuable: false }],
  ["it is no stream", document, { stream: false }],
])("nothing is gone on from where %s", (_, given, more) => {
  expect(begin(engineWith(given), 0, more).attempts.mayContinue()).toBe(false);
});

test("a choice tells who was considered, with scores; what is ejected or drained was not", () => {
  const engine = engineWith();
  const frame = fixtureFrame({ backends: [{ name: "c", draining: true, drainLeftMs: 60_000 }] });
  engine.apply({ kind: "state", frame }, 0);
  const busy = begin(engine, 0).first.replace("first ", "");
  const record = begin(engine, 1).attempts.records()[0];
  expect(record?.considered.names).toEqual(["a", "b"]);
  expect(record?.candidate.name).not.toBe(busy);
  const [a = 0, b = 0] = record?.considered.scores ?? [];
  expect(busy === "a" ? a > b : b > a).toBe(true);
  const { attempts } = begin(engine, 2);
  attempts.step({ kind: "client-gone" }, 2);
  const remote = begin(engine, 3).attempts;
  for (let each = 0; each < 2; each++) fail(remote, { kind: "connect" }, 3);
  const abroad = remote.records()[2]?.considered;
  expect(abroad?.names).toEqual(["us", "ap"]);
  expect(abroad?.scores.map((each) => each > 100_000)).toEqual([true, true]);
});

test("of a large pool 16 are told, the chosen one among them", () => {
  const backends = Array.from({ length: 40 }, (_, each) => ({
    name: `x${each}`,
    region: "eu",
    url: `http://x${each}:1`,
    serves: [{ model: "big" }],
  }));
  const engine = engineWith({ ...document, backends });
  for (let each = 0; each < 60; each++) {
    const record = begin(engine, 0).attempts.records()[0];
    expect(record?.considered.names).toHaveLength(16);
    expect(record?.considered.names).toContain(record?.candidate.name);
    expect(record?.considered.scores).toHaveLength(16);
  }
});

test("slow calls are counted, and eject nobody", () => {
  const engine = engineWith(homeAlone);
  for (let each = 0; each < 50; each++) {
    const { attempts } = begin(engine, 0);
    attempts.step({ kind: "connected", attempt: 1 }, 1);
    attempts.step({ kind: "token", attempt: 1, continuable: false }, 15_000);
    attempts.step({ kind: "complete", attempt: 1 }, 15_001);
  }
  const { backends } = engine.report(15_001);
  expect(backends.reduce((sum, each) => sum + each.slow, 0)).toBe(50);
  expect(backends.some((each) => each.ejected)).toBe(false);
});

test("when every call fails, retries are a share of requests beside the burst and the floor", () => {
  const engine = engineWith(homeAlone);
  let calls = 0;
  const requests = 2_000;
  for (let each = 0; each < requests; each++) {
    // Two thousand requests in ten seconds.
    const now = each * 5;
    const { attempts } = begin(engine, now);
    while (!attempts.finished()) fail(attempts, { kind: "empty" }, now);
    calls += attempts.records().length;
  }
  expect(calls - requests).toBeGreaterThan(300);
  expect(calls - requests).toBeLessThanOrEqual(100 + 100 + requests * 0.1 + 10);
});

const cacheAware: Document = {
  ...document,
  routes: [{ name: "all", match: { models: ["*"] }, balance: "cache-aware" }],
};

test("who was sent a prompt is sent what begins like it, and others what does not", () => {
  const engine = engineWith(cacheAware);
  const turn = { inputTokens: 2_000, prefix: [1, 2, 3, 4, 5, 6] };
  const { attempts, first } = begin(engine, 0, turn);
  attempts.step({ kind: "client-gone" }, 0);
  expect(firstCalls(engine, 0, { inputTokens: 2_100, prefix: [...turn.prefix, 7] })).toEqual(
    new Set([first]),
  );
  expect(firstCalls(engine, 0, { prefix: [] }).size).toBe(3);
});
