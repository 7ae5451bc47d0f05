// Random policies, requests and troubles: where a request may go is kept on every path, and nobody who waits is forgotten.

import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AttemptCommand,
  type AttemptEvent,
  type Attempts,
  type Candidate,
  type FailureKind,
  upstreamFailure,
} from "../attempt/index.ts";
import { ownCallKnowledge } from "./call-knowledge.ts";
import { createEngine, type Engine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const names = ["eu", "us", "ap", "sa"] as const;
const own = "eu";
const models = ["big", "small"] as const;

const region = fc.constantFrom(...names);
const policyOf = fc.record({
  backends: fc.array(
    fc.record({
      region,
      model: fc.constantFrom(...models),
      concurrency: fc.constantFrom(0, 1, 2),
      assistantPrefix: fc.constantFrom("none", "append"),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  residency: fc.subarray([...names]),
  fallback: fc.subarray(["local-queue", "remote"]),
  targets: fc.subarray([...models], { minLength: 1 }),
  objective: fc.constantFrom(1, 400, 60_000),
  isHedged: fc.boolean(),
  isShadowed: fc.boolean(),
  isAffine: fc.boolean(),
});

type Trouble =
  | { readonly kind: "ask"; readonly more: Partial<RequestFacts> }
  | { readonly kind: "news"; readonly back: number; readonly event: AttemptEvent }
  | { readonly kind: "state"; readonly drained: string; readonly share: number }
  | { readonly kind: "queue"; readonly waiting: number }
  | { readonly kind: "path"; readonly region: string; readonly queueMs: number }
  | { readonly kind: "policy" };

const failures: readonly FailureKind[] = [
  "connect",
  "reset",
  "saturated",
  "region-refused",
  "first-token-timeout",
];
const news: fc.Arbitrary<AttemptEvent> = fc.oneof(
  fc.constantFrom<AttemptEvent>(
    { kind: "tick" },
    { kind: "tick" },
    { kind: "room" },
    { kind: "client-gone" },
    { kind: "complete", attempt: 0 },
    { kind: "token", attempt: 0, continuable: true },
    { kind: "connected", attempt: 0 },
  ),
  fc.constantFrom(...failures).map(
    (kind): AttemptEvent => ({
      kind: "failed",
      attempt: 0,
      failure: upstreamFailure(kind, "x", { retryAfterMs: 700 }),
    }),
  ),
);

const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        stream: fc.boolean(),
        arrivedFrom: fc.constantFrom(undefined, undefined, undefined, "us"),
        isContinuation: fc.constantFrom(false, false, true),
        prefix: fc.constantFrom([], [1, 2, 3]),
        headers: fc.constantFrom({}, { "x-chat": "7" }),
      })
      .map((more): Trouble => ({ kind: "ask", more: { ...more, continuable: true } })),
  },
  {
    weight: 10,
    arbitrary: fc
      .tuple(fc.nat(6), news)
      .map(([back, event]): Trouble => ({ kind: "news", back, event })),
  },
  fc
    .tuple(fc.constantFrom("", ...names), fc.constantFrom(0, 200, 1_000))
    .map(([drained, share]): Trouble => ({ kind: "state", drained, share })),
  fc.nat(3).map((waiting): Trouble => ({ kind: "queue", waiting })),
  fc
    .tuple(region, fc.constantFrom(-1, 0, 3_000))
    .map(([name, queueMs]): Trouble => ({ kind: "path", region: name, queueMs })),
  fc.constant<Trouble>({ kind: "policy" }),
);

const worlds = fc.record({
  policy: policyOf,
  troubles: fc.array(fc.tuple(trouble, fc.nat(400)), { minLength: 10, maxLength: 80 }),
  seed: fc.string(),
});

type Given = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

function documentOf({ policy }: Given): Parameters<typeof fixtureSnapshot>[1] {
  const { isHedged, isShadowed, isAffine, objective, targets, fallback, residency } = policy;
  const optional = {
    ...(isHedged ? { hedge: { budgetPercent: 100, minMs: 10 } } : {}),
    ...(isShadowed ? { shadow: { model: "small", percent: 100, concurrency: 5 } } : {}),
    ...(isAffine ? { affinity: { header: "x-chat" } } : {}),
    // An empty list would mean the default.
    fallback: fallback.length === 0 ? ["degrade"] : fallback,
  };
  return {
    regions: names.map((name, at) => ({
      name,
      location: { lat: at * 20, lon: 0 },
      peers: [`10.0.0.${at}:1`],
    })),
    backends: policy.backends.map((each, at) => ({
      name: `${each.region}-${at}`,
      region: each.region,
      url: `http://x${at}:1`,
      serves: [{ model: each.model }],
      assistantPrefix: each.assistantPrefix,
      ...(each.concurrency === 0 ? {} : { capacity: { concurrency: each.concurrency } }),
    })),
    models: models.map((name) => ({ name, continueStreams: true })),
    routes: [
      {
        name: "all",
        match: { models: ["*"] },
        targets: targets.map((model) => ({ model, weight: 1 })),
        objective: { firstTokenMs: objective },
        retry: { attempts: 4, budgetPercent: 100 },
        ...optional,
      },
    ],
    tenants: [{ name: "acme", keys: [{ sha256: "a".repeat(64) }], residency }],
  };
}

type Live = { readonly attempts: Attempts; readonly from: string | undefined };

/** One policy's engine and its requests: asks, does what the troubles say, and lets time end what is under way then. */
class RandomWorld {
  readonly called: (readonly [candidate: Candidate, from: string | undefined])[] = [];
  readonly holdsMs: number[] = [];
  holds = 0;
  copies = 0;
  readonly engine: Engine;
  readonly #calls = ownCallKnowledge(256);
  readonly #document: ReturnType<typeof documentOf>;
  readonly #live: Live[] = [];
  #sequence = 0;
  #now = 0;

  constructor(given: Given) {
    const random = seededRandom(given.seed);
    this.engine = createEngine({ region: own, random, calls: this.#calls });
    this.#document = documentOf(given);
    this.#applyPolicy();
    for (const [each, ms] of given.troubles) {
      this.#now += ms;
      // Time comes first: who is due is told.
      this.#tick();
      this.#meet(each);
    }
    while (this.#live.length > 0) {
      this.#now = Math.max(
        this.#now,
        Math.min(...this.#live.map((each) => each.attempts.wakeAt())),
      );
      this.#tick();
    }
  }

  #tick(): void {
    for (const one of [...this.#live]) {
      if (this.#now >= one.attempts.wakeAt()) this.#step(one, { kind: "tick" });
    }
  }

  #meet(each: Trouble): void {
    const { engine } = this;
    switch (each.kind) {
      case "ask":
        this.#ask(each.more);
        return;
      case "news":
        this.#hear(each.back, each.event);
        return;
      case "state":
        engine.apply({ kind: "state", frame: frameOf(each) }, this.#now);
        return;
      case "queue":
        for (const { kind, slot } of engine.serving()?.upstreams ?? []) {
          const load = { waiting: each.waiting, running: 1, kvUse: undefined };
          if (kind === "backend") this.#calls.engines.note(slot, load, this.#now);
        }
        return;
      case "path":
        this.#learnPath(each.region, each.queueMs);
        return;
      case "policy":
        this.#applyPolicy();
    }
  }

  #ask(more: Partial<RequestFacts>): void {
    const { engine } = this;
    const facts: RequestFacts = { ...plainFacts, tenant: "acme", model: "big", ...more };
    if (engine.admit(facts, this.#now).kind === "refused") return;
    const each = { attempts: engine.begin(facts, this.#now), from: facts.arrivedFrom };
    this.#live.push(each);
    this.#step(each, { kind: "start" });
    const shadow = engine.shadow(facts, this.#now);
    if (shadow.kind !== "copy") return;
    this.copies += 1;
    for (const kind of ["start", "client-gone"] as const) {
      this.#note(shadow.attempts.step({ kind }, this.#now), "copy");
    }
    shadow.end({ inputTokens: 0, outputTokens: 0, exact: true }, this.#now);
  }

  /** Of the newest call of a request. */
  #hear(back: number, event: AttemptEvent): void {
    const one = this.#live.at(-1 - back);
    if (one === undefined) return;
    const attempt = one.attempts.records().length;
    this.#step(one, "attempt" in event ? { ...event, attempt } : event);
  }

  #step(each: Live, event: AttemptEvent): void {
    this.#note(each.attempts.step(event, this.#now), each.from);
    for (let next = this.engine.takeRoom(); next !== undefined; next = this.engine.takeRoom()) {
      const from = this.#live.find(({ attempts }) => attempts === next)?.from;
      this.#note(next.step({ kind: "room" }, this.#now), from);
    }
    if (!each.attempts.finished()) return;
    this.holdsMs.push(each.attempts.heldMs(this.#now));
    this.#live.splice(this.#live.indexOf(each), 1);
  }

  #note(commands: readonly AttemptCommand[], from: string | undefined): void {
    for (const command of commands) {
      if (command.kind === "call") this.called.push([command.choice.candidate, from]);
      if (command.kind === "hold") this.holds += 1;
    }
  }

  #learnPath(name: string, queueMs: number): void {
    const { paths } = this.#calls;
    if (queueMs < 0) {
      paths.noteFailure(name, this.#now);
      return;
    }
    paths.noteRtt(name, 50, this.#now);
    for (const model of models) paths.noteQueue(name, model, queueMs, this.#now);
  }

  #applyPolicy(): void {
    this.#sequence += 1;
    const snapshot = fixtureSnapshot(own, this.#document, this.#sequence);
    expect(this.engine.apply({ kind: "snapshot", snapshot }, this.#now).kind).toBe("ok");
  }
}

function frameOf({ drained, share }: Extract<Trouble, { kind: "state" }>) {
  return fixtureFrame({
    regions: names.map((name) => ({
      name,
      draining: name === drained,
      drainLeftMs: name === drained ? 1_000 : 0,
      pools: models.map((model) => ({ model, backends: 1, available: 1 })),
    })),
    outflows: names
      .filter((name) => name !== own)
      .flatMap((name) => models.map((model) => ({ model, region: name, share }))),
  });
}

test("residency is kept on every path, and what came from abroad goes no further", () => {
  const seen = new Set<string>();
  let copies = 0;
  fc.assert(
    fc.property(worlds, (given) => {
      const { called, copies: some } = new RandomWorld(given);
      copies += some;
      const { residency, fallback } = given.policy;
      for (const [candidate, from] of called) {
        seen.add(candidate.kind);
        if (residency.length > 0) expect(residency).toContain(candidate.region);
        if (candidate.kind === "backend") expect(candidate.region).toBe(own);
        else {
          expect(from).toBeUndefined();
          expect(fallback).toContain("remote");
        }
      }
    }),
    { numRuns: 300 },
  );
  // It means something only if both kinds of places were gone to, and copies were made.
  expect(seen.size).toBe(2);
  expect(copies).toBeGreaterThan(20);
});

test("everybody who waits is sent, refused or gone in time, and nobody is counted as waiting after that", () => {
  let holds = 0;
  fc.assert(
    fc.property(worlds, (given) => {
      const made = new RandomWorld(given);
      holds += made.holds;
      for (const ms of made.holdsMs) expect(ms).toBeLessThanOrEqual(2_000 + 400);
      if (!given.policy.fallback.includes("local-queue")) expect(made.holds).toBe(0);
      const { pools, backends, peers } = made.engine.report(0);
      for (const { held, heldTokens } of pools) expect([held, heldTokens]).toEqual([0, 0]);
      for (const { inFlight } of [...backends, ...peers]) expect(inFlight).toBe(0);
    }),
    { numRuns: 300 },
  );
  expect(holds).toBeGreaterThan(20);
});
