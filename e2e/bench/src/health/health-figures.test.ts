import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { holds } from "../report/figures.ts";
import { drawRecovery } from "./figure.ts";
import {
  commonCauseFigures,
  detectionFigures,
  recoveryFigures,
  runLengthFigures,
  thresholdFigures,
  tickedFigures,
} from "./health-figures.ts";

const random = seededRandom("health");
const effort = { random, lengths: 100_000, times: 10_000, proofs: 5_000 };

test.each([
  ["run lengths", runLengthFigures],
  ["thresholds", thresholdFigures],
  ["ticks", tickedFigures],
  ["detection", detectionFigures],
  ["recovery", recoveryFigures],
  ["common cause", commonCauseFigures],
])("%s: every bar holds in the short form", (_, part) => {
  const fallen = part(effort).filter((each) => !holds(each));
  expect(fallen).toEqual([]);
});

test("the drawing shows the evidence, the share and the verdicts", async () => {
  const svg = await drawRecovery(random.fork("figure"));
  expect(svg).toMatch(/^<svg /);
  for (const word of ["outage", "proof", "unhealthy", "share of its weight"]) {
    expect(svg).toContain(word);
  }
});
