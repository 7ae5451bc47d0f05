import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import type { HealthChange } from "./health.ts";
import { PassiveHealth } from "./passive-health.ts";

function healthOf(elsewhere = false): PassiveHealth {
  const made = new PassiveHealth(seededRandom("health"));
  made.arrange([{ slots: [0, 1], elsewhere }]);
  return made;
}

function ejected(slot: number, forMs = 1_000): HealthChange {
  return { kind: "ejected", slot, forMs, reason: "5 connect failures in a row" };
}

test("what a sibling thread ejects is out here too, as long as it is there", () => {
  const made = healthOf();
  made.hear(ejected(0), 100);
  expect([made.share(0, 1_099), made.share(1, 1_099)]).toEqual([0, 1]);
  expect(made.standing(0, 1_100)).toBe("trial");
});

test("a sibling's trial that went well brings back here too", () => {
  const made = healthOf();
  made.hear(ejected(0), 0);
  made.hear({ kind: "returned", slot: 0 }, 1_200);
  expect(made.standing(0, 1_200)).toBe("healthy");
});

test("siblings that eject one target each leave half of a last resort", () => {
  const made = healthOf();
  made.hear(ejected(0), 0);
  made.hear(ejected(1), 0);
  expect([made.share(0, 1), made.share(1, 1)]).toEqual([0, 1]);
});

test("where another region can answer both may be out", () => {
  const made = healthOf(true);
  made.hear(ejected(0), 0);
  made.hear(ejected(1), 0);
  expect([made.share(0, 1), made.share(1, 1)]).toEqual([0, 0]);
});

test("one ejection that two threads made counts once: the next one lasts as long as after a single one", () => {
  const [alone, heard] = [healthOf(), healthOf()];
  alone.hear(ejected(0), 0);
  heard.hear(ejected(0), 0);
  heard.hear(ejected(0), 0);
  const forMs = [alone, heard].map((made) => {
    made.started(0, 1_000);
    const change = made.ended({ slot: 0, evidence: "failure", startedAt: 1_000 }, 1_000);
    return change?.kind === "ejected" ? change.forMs : 0;
  });
  expect(forMs[0]).toBeGreaterThan(1_500);
  expect(forMs[1]).toBe(forMs[0]);
});

test("a later word never shortens an ejection", () => {
  const made = healthOf();
  made.hear(ejected(0, 5_000), 0);
  made.hear(ejected(0, 1_000), 1);
  expect(made.share(0, 4_999)).toBe(0);
});

test("what a sibling keeps in spite of its failures changes nothing", () => {
  const made = healthOf();
  made.hear({ kind: "kept", slot: 0, reason: "half of its pool is out" }, 0);
  expect(made.standing(0, 0)).toBe("healthy");
});
