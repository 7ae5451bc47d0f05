import { fnv1a } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sessionSlot } from "./session-place.ts";
import { PickMemory, Shortlist } from "./shortlist.ts";

type Backend = { readonly name: string; readonly weight: number };

/** Where each of the sessions goes, by the backend's name. */
function places(
  backends: readonly Backend[],
  sessions: readonly string[],
): readonly (string | undefined)[] {
  const list = new Shortlist(new PickMemory(backends.length));
  list.clear({ tokens: 1, promptTokens: 1 });
  for (const [place, { weight }] of backends.entries()) {
    list.weights[list.add(place, place + 100)] = weight;
  }
  const names = backends.map((each) => fnv1a(each.name));
  return sessions.map((session) => {
    const slot = sessionSlot(list, names, fnv1a(session));
    return slot === undefined ? undefined : backends[slot - 100]?.name;
  });
}

const sessions = Array.from({ length: 20_000 }, (_, each) => `session-${each}`);
const pool = (weights: readonly number[]): readonly Backend[] =>
  weights.map((weight, each) => ({ name: `backend-${each}`, weight }));

function share(found: readonly (string | undefined)[], name: string): number {
  return found.filter((each) => each === name).length / found.length;
}

test("a session has one place, whatever the order in which backends are named", () => {
  const backends = fc.uniqueArray(
    fc.record({ name: fc.string(), weight: fc.double({ min: 0.01, max: 100, noNaN: true }) }),
    { selector: (each) => fnv1a(each.name), minLength: 1, maxLength: 12 },
  );
  fc.assert(
    fc.property(backends, fc.string(), (some, session) => {
      const [place] = places(some, [session]);
      expect(place).toBeDefined();
      expect(places(some.toReversed(), [session])).toEqual([place]);
      expect(places([...some, { name: "idle", weight: 0 }], [session])).toEqual([place]);
    }),
  );
});

test("nobody is picked where nobody has weight", () => {
  expect(places([], ["s"])).toEqual([undefined]);
  expect(places(pool([0, 0]), ["s"])).toEqual([undefined]);
});

test("sessions are spread by weight", () => {
  const weights = [1, 2, 0.5, 4, 1];
  const found = places(pool(weights), sessions);
  const total = weights.reduce((sum, each) => sum + each, 0);
  for (const [each, weight] of weights.entries()) {
    const expected = weight / total;
    // Five standard deviations of a binomial.
    const tolerance = 5 * Math.sqrt((expected * (1 - expected)) / sessions.length);
    expect(Math.abs(share(found, `backend-${each}`) - expected)).toBeLessThan(tolerance);
  }
});

test("a backend that leaves gives its sessions away, to all others, and no other session moves", () => {
  const before = places(pool([1, 1, 1, 1, 1]), sessions);
  const after = places(pool([1, 1, 0, 1, 1]), sessions);
  const given = new Map<string | undefined, number>();
  for (const [each, place] of before.entries()) {
    if (place !== "backend-2") expect(after[each]).toBe(place);
    else given.set(after[each], (given.get(after[each]) ?? 0) + 1);
  }
  expect([...given.keys()].sort()).toEqual(["backend-0", "backend-1", "backend-3", "backend-4"]);
  for (const count of given.values()) expect(Math.abs(count / 1_000 - 1)).toBeLessThan(0.25);
});

test("a weight that grows only draws sessions, one that shrinks only gives them away", () => {
  const before = places(pool([1, 1, 1]), sessions);
  for (const [weight, moves] of [
    [2, (from: string | undefined, to: string | undefined) => from === to || to === "backend-1"],
    [
      0.5,
      (from: string | undefined, to: string | undefined) => from === to || from === "backend-1",
    ],
  ] as const) {
    const after = places(pool([1, weight, 1]), sessions);
    expect(before.every((from, each) => moves(from, after[each]))).toBe(true);
    expect(after).not.toEqual(before);
  }
});

test("similar names are spread as well as others", () => {
  for (const prefix of ["", "chat/2026-01-01/", "x".repeat(100)]) {
    const found = places(
      ["eu-1", "eu-2", "eu-3", "eu-4"].map((name) => ({ name, weight: 1 })),
      sessions.map((_, each) => `${prefix}${each}`),
    );
    for (const name of ["eu-1", "eu-2", "eu-3", "eu-4"]) {
      expect(Math.abs(share(found, name) - 0.25)).toBeLessThan(0.016);
    }
  }
});
