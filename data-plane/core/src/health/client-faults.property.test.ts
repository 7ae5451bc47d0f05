// The fast path of a proxy: calls that say nothing may come at any time, and change nothing.

import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Evidence } from "./health.ts";
import { PassiveHealth } from "./passive-health.ts";

type Call = { readonly slot: number; readonly evidence: Evidence; readonly ms: number };

/** Every change, and how each target stands after each call that says something. */
function history(calls: readonly Call[]): readonly unknown[] {
  const health = new PassiveHealth(seededRandom("faults"));
  health.arrange([{ slots: [0, 1, 2], elsewhere: false }]);
  let now = 0;
  return calls.flatMap(({ slot, evidence, ms }) => {
    now += ms;
    health.started(slot, now);
    const change = health.ended({ slot, evidence, startedAt: now }, now);
    if (evidence === "nothing") return change === undefined ? [] : [change];
    return [[change, ...[0, 1, 2].map((each) => health.standing(each, now))]];
  });
}

test("calls that say nothing change no ejection and no return, wherever they come", () => {
  const slot = fc.nat(2);
  const telling = fc.record({
    slot,
    evidence: fc.constantFrom<Evidence>("success", "connect-failure", "failure"),
    ms: fc.nat(600),
  });
  const idle = fc.record({ slot, evidence: fc.constant<Evidence>("nothing"), ms: fc.constant(0) });
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 3, arbitrary: telling }, idle)), (calls) => {
      const alone = calls.filter((each) => each.evidence !== "nothing");
      expect(history(calls)).toEqual(history(alone));
    }),
    { numRuns: 300 },
  );
});
