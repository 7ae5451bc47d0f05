import { seededRandom } from "@meridian/proto/base";
import { fixtureFrame, fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test } from "vitest";
import { createEngine } from "./index.ts";

test("a backend that proves itself is not told as available, however often one looks", () => {
  const engine = createEngine({ region: "eu", random: seededRandom("report") });
  const serves = [{ model: "m" }];
  const snapshot = fixtureSnapshot(
    "eu",
    {
      regions: [{ name: "eu" }],
      backends: ["a", "b"].map((name) => ({ name, region: "eu", url: `http://${name}:1`, serves })),
      models: [{ name: "m" }],
    },
    1,
  );
  expect(engine.apply({ kind: "snapshot", snapshot }, 0).kind).toBe("ok");
  const frame = fixtureFrame({ backends: [{ name: "a", verdict: "unhealthy", proving: true }] });
  engine.apply({ kind: "state", frame }, 0);
  const looks = Array.from({ length: 500 }, () => engine.report(10).backends);
  expect(new Set(looks.map(([a]) => a?.available))).toEqual(new Set([false]));
  expect(new Set(looks.map(([, b]) => b?.available))).toEqual(new Set([true]));
});
