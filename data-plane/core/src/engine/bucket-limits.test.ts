import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { createEngine, type Engine } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

/** Backend `a` bears 60 requests a minute, `b` 6; nobody waits for them, and no other region would do. */
function engine(balance = "least-outstanding"): Engine {
  const limits = { a: 60, b: 6 };
  const backends = Object.entries(limits).map(([name, requestsPerMinute]) => ({
    name,
    region: "eu",
    url: `http://${name}:1`,
    serves: [{ model: "big" }],
    capacity: { requestsPerMinute },
  }));
  const made = createEngine({ region: "eu", random: seededRandom("limits") });
  const document = {
    regions: [{ name: "eu" }],
    backends,
    models: [{ name: "big" }],
    routes: [{ name: "all", match: { models: ["*"] }, fallback: ["degrade"], balance }],
  };
  const snapshot = fixtureSnapshot("eu", document);
  expect(made.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  return made;
}

/** Backends of so many requests at one moment; "none": refused. */
function ask(made: Engine, count: number, now: number): readonly string[] {
  return Array.from({ length: count }, () => {
    const [command] = made.begin(plainFacts, now).step({ kind: "start" }, now);
    return command?.kind === "call" ? command.choice.candidate.name : "none";
  });
}

function countOf(names: readonly string[], name: string): number {
  return names.filter((each) => each === name).length;
}

test("a backend whose bucket is empty is called no more, until the bucket fills", () => {
  const made = engine();
  const names = ask(made, 12, 0);
  expect([countOf(names, "a"), countOf(names, "b"), names.at(-1)]).toEqual([10, 1, "none"]);
  expect(ask(made, 2, 1_001)).toEqual(["a", "none"]);
});

test("of what a backend bears each proxy of the region takes an equal part, and all of it when alone", () => {
  const made = engine();
  const tell = (proxies: number) => {
    const frame = fixtureFrame({ regions: [{ name: "eu", proxies }] });
    made.apply({ kind: "state", frame }, 0);
  };
  tell(5);
  expect(countOf(ask(made, 4, 0), "a")).toBe(2);
  expect(countOf(ask(made, 4, 5_001), "a")).toBe(1);
  // A control plane that knows nothing of proxies.
  tell(0);
  expect(countOf(ask(made, 40, 60_000), "a")).toBe(10);
});

const minuteMs = 60_000;

const balances = ["round-robin", "weighted", "least-outstanding", "cache-aware"];

test.each(balances)(
  "%s: no minute sees more of a backend than its limit and one burst",
  (balance) => {
    const made = engine(balance);
    const random = seededRandom(balance);
    const sent = { a: [] as number[], b: [] as number[] };
    for (let now = 0; now < 5 * minuteMs; now += random.next() * 1_000) {
      const [command] = made.begin(plainFacts, now).step({ kind: "start" }, now);
      if (command?.kind !== "call") continue;
      const { name } = command.choice.candidate;
      if (name === "a" || name === "b") sent[name].push(now);
    }
    for (const [times, most] of [
      [sent.a, 70],
      [sent.b, 7],
    ] as const) {
      const most60s = times.map(
        (at) => times.filter((each) => each >= at && each < at + minuteMs).length,
      );
      expect(Math.max(...most60s)).toBeLessThanOrEqual(most);
      // What is allowed is used, but for the time until the next request comes.
      expect(times.length).toBeGreaterThan(5 * most * 0.75);
    }
  },
);
