import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { readSnapshot } from "@meridian/proto/snapshot";
import { expect, test } from "vitest";
import { findPicker } from "../balance/index.ts";
import { PassiveHealth } from "../health/index.ts";
import { ownLoad } from "../load/index.ts";
import { ownCallKnowledge } from "./call-knowledge.ts";
import { type PoolQuestion, pickFrom, surveyPool } from "./pool-choice.ts";
import { HeldState } from "./region-state.ts";
import { compileTable, type Pool } from "./table.ts";

const names = ["a", "b", "c", "d"] as const;

/** Four backends of one model; `d` bears two requests at once, `c` 60 a minute and `b` 6,000 tokens a minute. */
function world() {
  const backend = (name: string, capacity: { readonly [limit: string]: number }) => ({
    name,
    region: "eu",
    url: `http://${name}:1`,
    serves: [{ model: "m" }],
    capacity,
    ...(name === "a" ? {} : { assistantPrefix: "append" }),
  });
  const document = {
    regions: [{ name: "eu" }],
    backends: [
      backend("a", {}),
      backend("b", { tokensPerMinute: 6_000 }),
      backend("c", { requestsPerMinute: 60 }),
      backend("d", { concurrency: 2 }),
    ],
    models: [{ name: "m" }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
  const view = readSnapshot(fixtureSnapshot("eu", document, 1));
  if (view.kind === "err") throw new Error(JSON.stringify(view.error));
  const load = ownLoad(64);
  const pool = compileTable(view.value, load.slots).table.pools.get("m");
  if (pool === undefined) throw new Error("the model has backends");
  const calls = ownCallKnowledge(64);
  for (const [place, slot] of pool.slots.entries()) {
    calls.buckets.setLimits(slot, pool.capacities[place] ?? none);
  }
  const health = new PassiveHealth(seededRandom("health"));
  const state = new HeldState();
  const question: PoolQuestion = {
    excluded: [],
    continues: false,
    calls,
    work: { tokens: 500, promptTokens: 400 },
    prefix: [],
    load: load.table,
    health,
    state,
    now: 0,
  };
  const slot = (name: (typeof names)[number]) => pool.slots[names.indexOf(name)] ?? -1;
  const look = (more: Partial<PoolQuestion> = {}) => told(pool, { ...question, ...more });
  return { pool, load: load.table, calls, health, state, question, slot, look };
}

const none = { requestsPerMinute: undefined, tokensPerMinute: undefined };

/** "abd|c": open ones, then those that have a queue or are better avoided. */
function told(pool: Pool, question: PoolQuestion): string {
  const { open, avoided, queued } = surveyPool(pool, question);
  const nameOf = (list: typeof open) =>
    Array.from(list.places.slice(0, list.count), (place) => names[place]).join("");
  return `${nameOf(open)}|${nameOf(queued)}${nameOf(avoided)}`;
}

test("everybody is open at the start, but for those who were tried or can't go on", () => {
  const { look, slot } = world();
  expect(look()).toBe("abcd|");
  expect(look({ excluded: [slot("b")] })).toBe("acd|");
  expect(look({ continues: true })).toBe("bcd|");
});

test("a backend that is drained or unhealthy is not called, whatever room it has", () => {
  const { look, health, slot, state } = world();
  state.take(fixtureFrame({ backends: [{ name: "a", draining: true, drainLeftMs: 60_000 }] }), 0);
  const told = {
    verdict: "unhealthy",
    share: 0,
    isProving: false,
    freezesBaseline: true,
    isAgeing: false,
  } as const;
  health.judge(slot("d"), told, 0);
  expect(look()).toBe("bc|");
});

test("a bucket without room keeps its backend out, and tells when there is some", () => {
  const { look, calls, pool, slot } = world();
  for (let call = 0; call < 10; call++) calls.buckets.take(slot("c"), 500, 0);
  expect(look()).toBe("abd|");
  expect(pool.survey.roomInMs).toBeCloseTo(1_000);
  calls.buckets.take(slot("b"), 600, 0);
  expect(look()).toBe("ad|");
  expect(look({ work: { tokens: 400, promptTokens: 400 } })).toBe("abd|");
  expect(look({ now: 1_001 })).toBe("abcd|");
  expect(pool.survey.roomInMs).toBe(Number.POSITIVE_INFINITY);
});

test("who works on as many requests as the policy allows gets none until one ends", () => {
  const { look, load, pool, slot } = world();
  load.start(slot("d"), 10);
  expect(look()).toBe("abcd|");
  load.start(slot("d"), 10);
  expect(look()).toBe("abc|");
  expect(pool.survey.busy.count).toBe(1);
  load.end(slot("d"), 10, "succeeded");
  expect(look()).toBe("abcd|");
  expect(pool.survey.busy.count).toBe(0);
});

test("who has a queue of its own comes after the others; who says nothing counts as having none", () => {
  const { look, calls, slot } = world();
  calls.engines.note(slot("a"), { waiting: 2, running: 8, kvUse: 0.9 }, 0);
  calls.engines.note(slot("b"), { waiting: 0, running: 8, kvUse: 0.99 }, 0);
  calls.engines.note(slot("c"), { waiting: undefined, running: 8, kvUse: undefined }, 0);
  expect(look()).toBe("bcd|a");
  expect(look({ now: 5_000 })).toBe("abcd|");
});

test("who is full by its own word is out for its time, and who named none comes after the others", () => {
  const { look, calls, pool, slot } = world();
  calls.saturation.fill(slot("a"), 3_000, 0);
  calls.saturation.avoid(slot("b"), 1_000, 0);
  expect(look()).toBe("cd|b");
  expect(pool.survey.roomInMs).toBe(3_000);
  expect(look({ now: 3_000 })).toBe("abcd|");
});

test("prompts that wait for their first token count whole, the rest of the work for a quarter", () => {
  const { pool, load, question, slot } = world();
  load.start(slot("a"), 1_000, 600);
  load.start(slot("b"), 1_000);
  load.start(slot("c"), 1_000, 600);
  load.spoke(slot("c"), 600);
  const { open } = surveyPool(pool, question);
  expect([...open.pending.slice(0, 4)]).toEqual([700, 250, 100, 0]);
});

test("what a backend has of the prompt counts for four fifths, and never for more than the prompt", () => {
  const { pool, calls, question, slot } = world();
  const prefix = [1, 2, 3];
  calls.prefixes.learn([1, 2], slot("b"));
  const hits = (promptTokens: number) => {
    const work = { tokens: promptTokens + 100, promptTokens };
    return [...surveyPool(pool, { ...question, work, prefix }).open.hits.slice(0, 4)];
  };
  expect(hits(900)).toEqual([0, 2 * 256 * 0.8, 0, 0]);
  expect(hits(300)).toEqual([0, 300, 0, 0]);
});

test("a session stays with its backend while that is on the list", () => {
  const { pool, calls, question, slot } = world();
  const random = seededRandom("pick");
  const picking = { picker: findPicker("least-outstanding"), random, sticky: slot("c") };
  const pick = () => pickFrom(pool, surveyPool(pool, question).open, picking);
  for (let call = 0; call < 20; call++) {
    expect(pick()).toMatchObject({ candidate: { name: "c" }, reason: "session" });
  }
  calls.saturation.fill(slot("c"), 3_000, 0);
  for (let call = 0; call < 20; call++) {
    const choice = pick();
    expect(choice?.candidate.name).not.toBe("c");
    expect(choice?.reason).toBe("least-outstanding");
  }
});

test("an empty list has nobody to pick", () => {
  const { pool, question, slot } = world();
  const { open } = surveyPool(pool, { ...question, excluded: names.map(slot) });
  const picking = { picker: findPicker("weighted"), random: seededRandom("x"), sticky: slot("a") };
  expect(pickFrom(pool, open, picking)).toBeUndefined();
});
