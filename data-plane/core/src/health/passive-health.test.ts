import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Evidence } from "./health.ts";
import { ejection, PassiveHealth } from "./passive-health.ts";
import type { ToldVerdict } from "./told-verdict.ts";

function health(
  pools: readonly (readonly number[])[] = [[0, 1, 2, 3]],
  elsewhere = false,
): PassiveHealth {
  const made = new PassiveHealth(seededRandom("health"));
  made.arrange(pools.map((slots) => ({ slots, elsewhere })));
  return made;
}

/** One call from start to end. */
function call(
  made: PassiveHealth,
  slot: number,
  evidence: Evidence,
  now: number,
): string | undefined {
  made.started(slot, now);
  return made.ended({ slot, evidence, startedAt: now }, now)?.kind;
}

function fail(made: PassiveHealth, slot: number, times: number, now: number): readonly unknown[] {
  return Array.from({ length: times }, (_, each) =>
    call(made, slot, "connect-failure", now + each * 1_000),
  );
}

test("five connect failures in a row eject", () => {
  const made = health();
  expect(fail(made, 0, 5, 0)).toEqual([undefined, undefined, undefined, undefined, "ejected"]);
  expect(made.share(0, 4_001)).toBe(0);
  expect(made.share(1, 4_001)).toBe(1);
});

test("a success in between starts the count anew", () => {
  const made = health();
  fail(made, 0, 4, 0);
  call(made, 0, "success", 4_000);
  expect(fail(made, 0, 4, 5_000)).toEqual([undefined, undefined, undefined, undefined]);
});

test("three connect failures within 300 ms eject, but not within a second of a success", () => {
  const quiet = health();
  expect([0, 100, 200].map((now) => call(quiet, 0, "connect-failure", now))).toEqual([
    undefined,
    undefined,
    "ejected",
  ]);
  const lively = health();
  call(lively, 0, "success", 0);
  expect([500, 600, 700].map((now) => call(lively, 0, "connect-failure", now))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("clients' errors and aborts never count", () => {
  const made = health();
  for (let now = 0; now < 100; now++) expect(call(made, 0, "nothing", now)).toBeUndefined();
  expect(made.share(0, 100)).toBe(1);
});

test("other failures eject after ten in a row", () => {
  const made = health();
  const changes = Array.from({ length: 10 }, (_, now) => call(made, 0, "failure", now * 1_000));
  expect(changes.slice(0, 9).every((each) => each === undefined)).toBe(true);
  expect(changes[9]).toBe("ejected");
});

test("at most half of a pool is out, over every pool that the target is in", () => {
  const made = health([
    [0, 1, 2, 3],
    [3, 4],
  ]);
  expect(fail(made, 0, 5, 0).at(-1)).toBe("ejected");
  expect(fail(made, 1, 5, 0).at(-1)).toBe("ejected");
  expect(fail(made, 2, 5, 0).at(-1)).toBe("kept");
  expect(made.share(2, 4_001)).toBe(1);
  const single = health([[7]]);
  expect(fail(single, 7, 9, 0)).not.toContain("ejected");
});

test("connect failures may empty a pool where another region can answer; other failures may not", () => {
  const made = health([[0, 1]], true);
  expect(fail(made, 0, 5, 0).at(-1)).toBe("ejected");
  for (let now = 0; now < 9; now++) call(made, 1, "failure", now);
  expect(call(made, 1, "failure", 10)).toBe("kept");
  expect(fail(made, 1, 5, 1_000)).toContain("ejected");
});

test("a target comes back for one trial; its success returns it, its failure ejects it for longer", () => {
  const made = health();
  fail(made, 0, 5, 0);
  const back = 4_000 + ejection.baseMs;
  expect(made.standing(0, back)).toBe("trial");
  made.started(0, back);
  expect(made.share(0, back)).toBe(0);
  expect(made.ended({ slot: 0, evidence: "connect-failure", startedAt: back }, back)?.kind).toBe(
    "ejected",
  );
  expect(made.share(0, back + ejection.baseMs)).toBe(0);
  const later = back + 2 * ejection.baseMs;
  expect(call(made, 0, "success", later)).toBe("returned");
  expect(made.standing(0, later)).toBe("healthy");
});

test("a trial that its client aborts is followed by another", () => {
  const made = health();
  fail(made, 0, 5, 0);
  const back = 4_000 + ejection.baseMs;
  call(made, 0, "nothing", back);
  expect(made.standing(0, back)).toBe("trial");
});

test("a success that began before the ejection does not return a target", () => {
  const made = health();
  made.started(0, 0);
  fail(made, 0, 5, 1);
  expect(made.ended({ slot: 0, evidence: "success", startedAt: 0 }, 4_500)).toBeUndefined();
  expect(made.share(0, 4_500)).toBe(0);
});

test("a new arrangement keeps what was learned; a slot that is given away starts anew", () => {
  const made = health();
  fail(made, 0, 5, 0);
  made.arrange([{ slots: [0, 1], elsewhere: false }]);
  expect(made.share(0, 4_001)).toBe(0);
  made.forget(0);
  expect(made.share(0, 4_001)).toBe(1);
});

const told = (verdict: ToldVerdict["verdict"], share: number, isProving = false): ToldVerdict => ({
  verdict,
  share,
  isProving,
  freezesBaseline: false,
  isAgeing: false,
});

test("a verdict gives the share; none leaves it whole", () => {
  const made = health();
  made.judge(0, told("degraded", 0.5), 0);
  made.judge(1, told("unhealthy", 0), 0);
  made.judge(3, told("healthy", 0.1), 0);
  expect([0, 1, 2, 3].map((slot) => made.share(slot, 0))).toEqual([0.5, 0, 1, 0.1]);
  made.judge(0, undefined, 0);
  expect(made.share(0, 0)).toBe(1);
});

test("one that proves itself gets one request in a hundred, and one at a time", () => {
  const made = health();
  made.judge(0, told("unhealthy", 0, true), 0);
  const asked = 20_000;
  let given = 0;
  for (let each = 0; each < asked; each++) if (made.share(0, each) > 0) given += 1;
  expect(given / asked).toBeGreaterThan(0.007);
  expect(given / asked).toBeLessThan(0.013);
  made.started(0, asked);
  for (let each = 0; each < 2_000; each++) expect(made.share(0, asked)).toBe(0);
  made.ended({ slot: 0, evidence: "success", startedAt: asked }, asked + 10);
  let again = 0;
  for (let each = 0; each < 2_000; each++) if (made.share(0, asked + 20) > 0) again += 1;
  expect(again).toBeGreaterThan(0);
});

test("a return by the region's verdict ends this proxy's own ejection", () => {
  const made = health();
  fail(made, 0, 5, 0);
  made.judge(0, told("unhealthy", 0), 100);
  made.judge(0, told("healthy", 0.1), 200);
  expect(made.share(0, 200)).toBe(0.1);
});

test("a verdict that stays good overrules an ejection after a while, and a trial decides", () => {
  const made = health();
  fail(made, 0, 5, 0);
  made.judge(0, undefined, 0);
  for (let each = 0; each < 3; each++) fail(made, 0, 5, 10_000 * (each + 1));
  const now = 30_000;
  made.judge(0, told("healthy", 1), now + ejection.overruledMs - 1);
  expect(made.standing(0, now + ejection.overruledMs - 1)).toBe("ejected");
  made.judge(0, told("healthy", 1), now + ejection.overruledMs + 100);
  expect(made.standing(0, now + ejection.overruledMs + 100)).toBe("trial");
});

test("a word that ages overrules no ejection", () => {
  const made = health();
  for (let each = 0; each < 4; each++) fail(made, 0, 5, 10_000 * each);
  const later = 30_000 + ejection.overruledMs + 100;
  expect(made.standing(0, later)).toBe("ejected");
  made.judge(0, { ...told("healthy", 1), isAgeing: true }, later);
  expect(made.standing(0, later)).toBe("ejected");
  made.judge(0, told("healthy", 1), later);
  expect(made.standing(0, later)).toBe("trial");
});

test("any evidence: ejections are bounded in time and number where no other region is", () => {
  const step = fc.record({
    slot: fc.nat(3),
    evidence: fc.constantFrom<Evidence>("success", "connect-failure", "failure", "nothing"),
    ms: fc.nat(400),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const made = health();
      let now = 0;
      for (const { slot, evidence, ms } of steps) {
        now += ms;
        call(made, slot, evidence, now);
        const out = [0, 1, 2, 3].filter((each) => made.standing(each, now) === "ejected");
        expect(out.length).toBeLessThanOrEqual(2);
      }
      const later = now + ejection.capMs;
      for (let slot = 0; slot < 4; slot++) expect(made.share(slot, later)).toBe(1);
    }),
  );
});

test("one on trial counts as out: trials never take more than half of a pool", () => {
  const made = health();
  const failTen = (slot: number, from: number) =>
    Array.from({ length: 10 }, (_, each) => call(made, slot, "failure", from + each));
  expect(failTen(0, 0).at(-1)).toBe("ejected");
  expect(failTen(1, 0).at(-1)).toBe("ejected");
  const later = ejection.capMs * 2;
  expect(made.standing(0, later)).toBe("trial");
  expect(failTen(2, later).at(-1)).toBe("kept");
  expect(failTen(3, later).at(-1)).toBe("kept");
  expect(call(made, 0, "failure", later + 20)).toBe("ejected");
  expect(call(made, 1, "failure", later + 20)).toBe("ejected");
  expect([0, 1, 2, 3].map((slot) => made.share(slot, later + 21))).toEqual([0, 0, 1, 1]);
});
