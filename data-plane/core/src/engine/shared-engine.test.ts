import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { upstreamFailure } from "../attempt/index.ts";
import { createLoadBuffers, GivenSlots, openLoadBuffers, SlotKeeper } from "../load/index.ts";
import { createCallBuffers, createEngine, type Engine, openCallBuffers } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const facts = { ...plainFacts, model: "m", inputTokens: 10 };

function policy(sequence: number, ...names: readonly string[]) {
  const document = {
    regions: [{ name: "eu" }],
    backends: names.map((name) => ({
      name,
      region: "eu",
      url: `http://${name}:1`,
      serves: [{ model: "m" }],
    })),
    models: [{ name: "m" }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
  return fixtureSnapshot("eu", document, sequence);
}

type World = {
  readonly main: Engine;
  readonly threads: readonly Engine[];
  readonly changes: string[];
  readonly activate: (snapshot: ReturnType<typeof policy>) => void;
};

/** A main engine and two threads' over one load, in one thread; policies reach all of them. The model takes a slot too. */
function world(slots = 4): World {
  const load = createLoadBuffers(2, slots);
  const calls = createCallBuffers(slots);
  const random = seededRandom("shared");
  const own = openLoadBuffers(load, { count: 2, own: 0 });
  const keeper = new SlotKeeper(own.table, { shared: true });
  const share = { load: { ...own, slots: keeper }, calls: openCallBuffers(calls) };
  const main = createEngine({ region: "eu", random, ...share });
  const changes: string[] = [];
  const given = [new GivenSlots(), new GivenSlots()];
  const threads = given.map((slots, thread) =>
    createEngine({
      region: "eu",
      random: random.fork(`${thread}`),
      load: { ...openLoadBuffers(load, { count: 2, own: thread }), slots },
      calls: openCallBuffers(calls),
      onHealthChange: (target, change) => changes.push(`${thread} ${target} ${change.kind}`),
    }),
  );
  return {
    main,
    threads,
    changes,
    activate: (snapshot) => {
      const prepared = main.prepare(snapshot);
      if (prepared.kind === "err") throw new Error(JSON.stringify(prepared.error));
      for (const each of given) each.give(keeper.claims(), keeper.fresh());
      prepared.value.commit(0);
      for (const each of threads) {
        expect(each.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
      }
      keeper.acknowledged();
    },
  };
}

function beginCall(engine: Engine | undefined) {
  const attempts = engine?.begin(facts, 0);
  attempts?.step({ kind: "start" }, 0);
  return attempts;
}

test("each thread's report, and the main thread's, sums what all threads count", () => {
  const { main, threads, activate } = world();
  activate(policy(1, "a"));
  const calls = threads.map(beginCall);
  beginCall(threads[1]);
  calls[0]?.step({ kind: "complete", attempt: 1 }, 5);
  for (const engine of [main, ...threads]) {
    expect(engine.report(5)).toMatchObject({
      liveRequests: 3,
      requests: 3,
      backends: [{ name: "a", started: 3, succeeded: 1, inFlight: 2 }],
    });
  }
});

test("a backend that came in another's place begins with neither its calls nor its counts", () => {
  const { main, threads, activate } = world(2);
  activate(policy(1, "a"));
  const call = beginCall(threads[0]);
  activate(policy(2));
  expect(main.prepare(policy(3, "b"))).toMatchObject({
    kind: "err",
    error: [{ code: "too_many_targets" }],
  });
  call?.step({ kind: "complete", attempt: 1 }, 5);
  activate(policy(3, "b"));
  expect(threads[1]?.report(5).backends).toMatchObject([
    { name: "b", started: 0, succeeded: 0, inFlight: 0 },
  ]);
});

test("a snapshot that is given up leaves the former in force, and its slots to others", () => {
  const { main, activate } = world(3);
  activate(policy(1, "a"));
  const prepared = main.prepare(policy(2, "a", "b"));
  expect(main.serving()?.revision).toBe("1.1");
  if (prepared.kind === "ok") prepared.value.abort();
  expect(main.serving()?.revision).toBe("1.1");
  activate(policy(3, "a", "c"));
  expect(main.serving()?.revision).toBe("1.3");
});

test("an ejection on one thread is told by the target's id, and heard by the others", () => {
  const { changes, main, threads, activate } = world();
  activate(policy(1, "a", "b", "c"));
  const [one, other] = threads;
  const dead = new Set<string>();
  for (let request = 0; changes.length === 0 && request < 100; request++) {
    const attempts = one?.begin(facts, request * 1_000);
    let commands = attempts?.step({ kind: "start" }, request * 1_000) ?? [];
    // The first target that is asked is the one that never connects.
    for (let attempt = 1; attempts?.finished() === false; attempt++) {
      const call = commands.find((each) => each.kind === "call");
      if (call?.kind !== "call") break;
      const { name } = call.choice.candidate;
      if (dead.size === 0) dead.add(name);
      const failure = upstreamFailure("connect", "refused");
      commands = attempts.step(
        dead.has(name) ? { kind: "failed", attempt, failure } : { kind: "complete", attempt },
        request * 1_000 + attempt,
      );
    }
  }
  const [name] = dead;
  expect(changes).toEqual([`0 backend/${name} ejected`]);
  const change = { kind: "ejected", slot: 99, forMs: 1_000, reason: "heard" } as const;
  for (const engine of [main, other]) {
    expect(engine?.report(0).backends.filter((each) => each.ejected)).toEqual([]);
    engine?.hear(`backend/${name}`, change, 0);
    engine?.hear("backend/gone", change, 0);
    expect(engine?.report(1).backends.filter((each) => each.ejected)).toMatchObject([{ name }]);
  }
});
