// For tests: an engine of a region with two backends, one request at a time each, and two other regions that serve the same
// model. What requests do is told in words.

import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import type { AttemptCommand, Attempts } from "../attempt/index.ts";
import { type CallKnowledge, ownCallKnowledge } from "./call-knowledge.ts";
import { createEngine, type Engine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

type Route = { readonly [name: string]: unknown };

export const backend = (name: string, region: string, concurrency: number) => ({
  name,
  region,
  url: `http://${name}:1`,
  serves: [{ model: "big" }],
  capacity: { concurrency },
});

/** Two backends here, one request at a time each; two other regions, the nearer one first. */
export function policy(
  route: Route = {},
  more: object = {},
): Parameters<typeof fixtureSnapshot>[1] {
  return {
    regions: [
      { name: "eu", location: { lat: 53, lon: -6 }, peers: ["10.0.0.1:1"] },
      { name: "us", location: { lat: 39, lon: -77 }, peers: ["10.0.1.1:1"] },
      { name: "ap", location: { lat: 19, lon: 72 }, peers: ["10.0.2.1:1"] },
    ],
    backends: [
      backend("a", "eu", 1),
      backend("b", "eu", 1),
      backend("us-a", "us", 64),
      backend("ap-a", "ap", 64),
    ],
    models: [{ name: "big" }],
    routes: [{ name: "all", match: { models: ["*"] }, ...route }],
    ...more,
  };
}

/** A route that promises what a queue of one call breaks. */
export const prompt = { objective: { firstTokenMs: 500 } };

export type World = {
  readonly engine: Engine;
  readonly calls: CallKnowledge;
  /** A request as it begins: "first a", "hold", … */
  readonly ask: (now: number, more?: Partial<RequestFacts>) => Asked;
  /** Tells everyone whom the engine names that there may be room: what came of it. */
  readonly wake: (now: number) => readonly string[];
};

export type Asked = { readonly attempts: Attempts; readonly first: string };

export function world(given = policy()): World {
  const calls = ownCallKnowledge(1_024);
  const engine = createEngine({ region: "eu", random: seededRandom("choosing"), calls });
  const taken = engine.apply({ kind: "snapshot", snapshot: fixtureSnapshot("eu", given, 1) }, 0);
  if (taken.kind === "err") throw new Error(JSON.stringify(taken.error));
  const asked = new Map<Attempts, number>();
  return {
    engine,
    calls,
    ask: (now, more = {}) => {
      const attempts = engine.begin({ ...plainFacts, ...more }, now);
      asked.set(attempts, asked.size);
      return { attempts, first: told(attempts.step({ kind: "start" }, now)) };
    },
    wake: (now) => {
      const woken: string[] = [];
      for (let next = engine.takeRoom(); next !== undefined; next = engine.takeRoom()) {
        woken.push(`${asked.get(next)}: ${told(next.step({ kind: "room" }, now))}`);
      }
      return woken;
    },
  };
}

export function told(commands: readonly AttemptCommand[]): string {
  const parts = commands.map((each) => {
    if (each.kind === "call") return `${each.role} ${each.choice.candidate.name}`;
    if (each.kind === "hold") return each.kind;
    return each.kind === "finish" ? `finish ${each.ending.kind}` : `${each.kind} ${each.attempt}`;
  });
  return parts.join(", ");
}

export function complete({ attempts }: Asked, now: number): void {
  attempts.step({ kind: "complete", attempt: attempts.records().length }, now);
}

/** Both backends are at work; before that each has worked on calls that took a second. */
export function busy(made: World, now = 10_000): readonly Asked[] {
  for (let each = 0; each < 10; each++) {
    const pair = [made.ask(each * 1_000), made.ask(each * 1_000)];
    for (const one of pair) {
      one.attempts.step({ kind: "token", attempt: 1, continuable: false }, each * 1_000 + 60);
      complete(one, each * 1_000 + 1_000);
    }
  }
  return [made.ask(now), made.ask(now)];
}

/** The ways are known, and so is what the regions say of their queues. */
export function measure(made: World, now: number, queueMs = 0): void {
  for (const [region, rttMs] of [
    ["us", 80],
    ["ap", 150],
  ] as const) {
    for (let each = 0; each < 20; each++) made.calls.paths.noteRtt(region, rttMs, now);
    made.calls.paths.notePool(region, "big", { queueMs, headroom: undefined }, now);
  }
}

/** Waits it out by itself. */
export function tickToCall({ attempts }: Asked): readonly [number, string] {
  for (let tick = 0; tick < 200; tick++) {
    const now = attempts.wakeAt();
    const commands = attempts.step({ kind: "tick" }, now);
    if (commands.length > 0) return [now, told(commands)];
  }
  throw new Error("it was never called for");
}

const outflows = (us: number, ap = 0) => [
  { model: "big", region: "us", share: us },
  { model: "big", region: "ap", share: ap },
];

/** A fresh frame whose table lets so many thousandths go to `us`. */
export function tell(made: World, us: number, now: number): void {
  const regions = ["eu", "us", "ap"].map((name) => ({
    name,
    pools: [{ model: "big", backends: 2, available: 2 }],
  }));
  made.engine.apply(
    { kind: "state", frame: fixtureFrame({ regions, outflows: outflows(us) }) },
    now,
  );
}
