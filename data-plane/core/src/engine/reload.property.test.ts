// What was learned of backends outlives the policy under which it was learned.

import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import fc from "fast-check";
import { expect, test } from "vitest";
import { upstreamFailure } from "../attempt/index.ts";
import { createEngine, type RequestFacts } from "./index.ts";
import { plainFacts } from "./test-facts.ts";

const names = ["a", "b", "c"];

function policy(weight: number, more: readonly string[]) {
  return {
    regions: [{ name: "eu" }],
    backends: [...more, ...names].map((name) => ({
      name,
      region: "eu",
      url: `http://${name}:1`,
      weight,
      serves: [{ model: "m" }],
    })),
    models: [{ name: "m" }],
    routes: [{ name: "r", match: { models: ["*"] }, retry: { attempts: weight } }],
  };
}

const facts: RequestFacts = { ...plainFacts, model: "m", outputTokensMax: undefined };

const call = fc.record({
  end: fc.constantFrom("complete" as const, "connect" as const, "status" as const),
  ms: fc.nat(500),
});

test("a new policy keeps verdicts, ejections and counts of the backends that stay", () => {
  const verdict = fc.constantFrom("healthy", "degraded", "unhealthy");
  const added = fc.subarray(["0", "d", "e"]);
  const weight = fc.integer({ min: 1, max: 3 });
  fc.assert(
    fc.property(
      fc.array(call, { maxLength: 60 }),
      verdict,
      weight,
      added,
      (calls, told, w, more) => {
        const engine = createEngine({ region: "eu", random: seededRandom("reload") });
        engine.apply({ kind: "snapshot", snapshot: fixtureSnapshot("eu", policy(2, [])) }, 0);
        const frame = fixtureFrame({ backends: [{ name: "b", verdict: told, share: 500 }] });
        engine.apply({ kind: "state", frame }, 0);
        let now = 0;
        for (const { end, ms } of calls) {
          now += ms;
          const attempts = engine.begin(facts, now);
          attempts.step({ kind: "start" }, now);
          if (attempts.finished()) continue;
          if (end === "complete") attempts.step({ kind: "complete", attempt: 1 }, now);
          else {
            const failure = upstreamFailure(end, "x", end === "status" ? { status: 500 } : {});
            attempts.step({ kind: "failed", attempt: 1, failure }, now);
          }
          attempts.step({ kind: "client-gone" }, now);
        }
        const kept = () => engine.report(now).backends.filter((each) => names.includes(each.name));
        const before = kept();
        const changed = fixtureSnapshot("eu", policy(w, more), 2);
        expect(engine.apply({ kind: "snapshot", snapshot: changed }, now).kind).toBe("ok");
        expect(kept()).toEqual(before);
      },
    ),
  );
});
