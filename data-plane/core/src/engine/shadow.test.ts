import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { upstreamFailure } from "../attempt/index.ts";
import { createLoadBuffers, openLoadBuffers, SlotKeeper } from "../load/index.ts";
import { type CallKnowledge, ownCallKnowledge } from "./call-knowledge.ts";
import { createEngine, type Engine, type RequestFacts, type Shadow } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const backend = (name: string, region: string, model: string) => ({
  name,
  region,
  url: `http://${name}:1`,
  serves: [{ model }],
  ...(model === "new" ? { capacity: { concurrency: 2, tokensPerMinute: 6_000 } } : {}),
});

/** A model that answers, and one that is tried out, on a backend of its own that takes two requests at once. */
function policy(shadow: object = {}, more: { readonly [name: string]: unknown } = {}) {
  return {
    regions: [{ name: "eu" }, { name: "us" }],
    backends: [backend("a", "eu", "big"), backend("n", "eu", "new")],
    models: [{ name: "big" }, { name: "new" }],
    routes: [
      {
        name: "tried",
        match: { models: ["big"] },
        shadow: { model: "new", percent: 100, ...shadow },
        hedge: {},
      },
      { name: "rest" },
    ],
    ...more,
  } as Parameters<typeof fixtureSnapshot>[1];
}

type World = {
  readonly engine: Engine;
  readonly calls: CallKnowledge;
  readonly shadow: (more?: Partial<RequestFacts>, now?: number) => Shadow;
};

function world(document = policy()): World {
  const calls = ownCallKnowledge(64);
  const load = createLoadBuffers(1, 64);
  const own = openLoadBuffers(load, { count: 1, own: 0 });
  const engine = createEngine({
    region: "eu",
    random: seededRandom("shadows"),
    load: { ...own, slots: new SlotKeeper(own.table) },
    calls,
  });
  const snapshot = fixtureSnapshot("eu", document, 1);
  expect(engine.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  return {
    engine,
    calls,
    shadow: (more = {}, now = 0) => engine.shadow({ ...plainFacts, ...more }, now),
  };
}

function told(shadow: Shadow): string {
  return shadow.kind === "skipped" ? shadow.reason : shadow.kind;
}

/** Starts a copy; the model server it calls. */
function start(shadow: Shadow, now = 0): string {
  if (shadow.kind !== "copy") return told(shadow);
  const [command] = shadow.attempts.step({ kind: "start" }, now);
  return command?.kind === "call" ? command.choice.candidate.name : String(command?.kind);
}

function slotOf(engine: Engine, name: string): number {
  return engine.serving()?.upstreams.find((each) => each.name === name)?.slot ?? -1;
}

const nothing = { inputTokens: 0, outputTokens: 0, exact: true };

test("what a copy did not use of its backend's bucket is given back", () => {
  const made = world();
  const slot = slotOf(made.engine, "n");
  const facts = { inputTokens: 100, outputTokensMax: 700 };
  const shadow = made.shadow(facts);
  expect(start(shadow)).toBe("n");
  expect(made.calls.buckets.roomInMs(slot, 500, 0)).toBeGreaterThan(0);
  if (shadow.kind !== "copy") throw new Error("there is a copy");
  shadow.attempts.step({ kind: "complete", attempt: 1 }, 10);
  shadow.end({ inputTokens: 100, outputTokens: 50, exact: true }, 10);
  expect(made.calls.buckets.roomInMs(slot, 500, 10)).toBe(0);
});

test("a copy goes to the model that is tried out, and says so", () => {
  const shadow = world().shadow();
  expect(shadow).toMatchObject({ kind: "copy", model: "new" });
  expect(start(shadow)).toBe("n");
});

test("the share of requests is the policy's, and chance that a seed decides", () => {
  const draws = () => {
    const made = world(policy({ percent: 20 }));
    return Array.from({ length: 10_000 }, () => {
      const shadow = made.shadow();
      if (shadow.kind === "copy") shadow.end(nothing, 0);
      return told(shadow);
    });
  };
  const drawn = draws();
  const copies = drawn.filter((each) => each === "copy").length;
  // Four standard deviations of a binomial with 20 %.
  expect(Math.abs(copies - 2_000)).toBeLessThan(160);
  expect(draws()).toEqual(drawn);
});

test.each<[string, Partial<RequestFacts>]>([
  ["from another region", { arrivedFrom: "us" }],
  ["of another route", { model: "new" }],
  ["whose policy is gone", { tenant: "nobody" }],
])("a request %s has no copy", (_, more) => {
  expect(told(world().shadow(more))).toBe("none");
});

test("a tenant that may not be served here has no copy here", () => {
  const tenant = (name: string, residency: readonly string[]) => ({
    name,
    keys: [{ sha256: name.padEnd(64, "0") }],
    residency,
  });
  const tenants = [tenant("a1", ["us"]), tenant("b2", ["eu"]), tenant("c3", [])];
  const made = world(policy({}, { tenants }));
  expect(told(made.shadow({ tenant: "a1" }))).toBe("none");
  expect(told(made.shadow({ tenant: "b2" }))).toBe("copy");
  expect(told(made.shadow({ tenant: "c3" }))).toBe("copy");
});

test("no copy is made of a model that nobody serves here", () => {
  expect(told(world(policy({}, { backends: [backend("a", "eu", "big")] })).shadow())).toBe("busy");
});

test("never are more copies under way than the policy allows, and a place that is free is taken again", () => {
  const made = world(policy({ concurrency: 2 }));
  const [one, two] = [made.shadow(), made.shadow()];
  expect([one, two, made.shadow()].map(told)).toEqual(["copy", "copy", "crowded"]);
  if (one.kind === "copy") one.end(nothing, 0);
  expect(told(made.shadow())).toBe("copy");
  expect(told(made.shadow())).toBe("crowded");
});

test.each<[string, (made: World) => void]>([
  [
    "a backend is at its limit",
    ({ engine }) => {
      const facts = { ...plainFacts, model: "new", inputTokens: 1, outputTokensMax: 1 };
      for (let each = 0; each < 2; each++) engine.begin(facts, 0).step({ kind: "start" }, 0);
    },
  ],
  [
    "a backend has a queue of its own",
    ({ calls, engine }) => {
      const load = { waiting: 1, running: 1, kvUse: undefined };
      calls.engines.note(slotOf(engine, "n"), load, 0);
    },
  ],
  [
    "a backend asked to be left alone",
    ({ calls, engine }) => calls.saturation.avoid(slotOf(engine, "n"), 5_000, 0),
  ],
  [
    "a backend's bucket has no room for it",
    ({ calls, engine }) => calls.buckets.take(slotOf(engine, "n"), 5_900, 0),
  ],
  [
    "a backend is drained",
    ({ engine }) => {
      const frame = fixtureFrame({
        backends: [{ name: "n", draining: true, drainLeftMs: 60_000 }],
      });
      engine.apply({ kind: "state", frame }, 0);
    },
  ],
])("no copy is in the way of clients: %s", (_, load) => {
  const made = world();
  expect(told(made.shadow())).toBe("copy");
  load(made);
  expect(told(made.shadow())).toBe("busy");
});

test("a copy is called for once: no retry, no hedge, no other region, no wait", () => {
  const made = world();
  const shadow = made.shadow();
  if (shadow.kind !== "copy") throw new Error("there is a copy");
  expect(start(shadow)).toBe("n");
  const { attempts } = shadow;
  expect(attempts.step({ kind: "tick" }, 5_000)).toEqual([]);
  const failure = upstreamFailure("connect", "no");
  const commands = attempts.step({ kind: "failed", attempt: 1, failure }, 5_001);
  expect(commands.map((each) => each.kind)).toEqual(["finish"]);
  expect(attempts.finished()).toBe(true);
});

test("a copy counts as load and as evidence of its backend, and as no request", () => {
  const made = world();
  const shadow = made.shadow();
  start(shadow);
  const backendOf = () => made.engine.report(0).backends.find((each) => each.name === "n");
  expect(backendOf()).toMatchObject({ inFlight: 1, started: 1 });
  if (shadow.kind !== "copy") throw new Error("there is a copy");
  shadow.attempts.step(
    { kind: "failed", attempt: 1, failure: upstreamFailure("status", "x", { status: 500 }) },
    9,
  );
  shadow.end(nothing, 0);
  expect(backendOf()).toMatchObject({ inFlight: 0, failed: 1 });
  expect(made.engine.report(0)).toMatchObject({ liveRequests: 0, requests: 0 });
});

test("a request goes on as if there were no shadow", () => {
  const run = (document: ReturnType<typeof policy>) => {
    const { engine } = world(document);
    return Array.from({ length: 50 }, () => {
      const attempts = engine.begin(plainFacts, 0);
      const commands = attempts.step({ kind: "start" }, 0);
      engine.shadow(plainFacts, 0);
      return JSON.stringify(commands.map((each) => each.kind === "call" && each.choice.candidate));
    });
  };
  const without = policy(
    {},
    { routes: [{ name: "tried", match: { models: ["big"] }, hedge: {} }] },
  );
  // The load table gives the shadow's count a slot, which shifts those behind it.
  const plain = (lines: readonly string[]) => lines.map((each) => each.replace(/"slot":\d+/, ""));
  expect(plain(run(policy()))).toEqual(plain(run(without)));
});
