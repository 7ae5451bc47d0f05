import { expect, test } from "vitest";
import { holds } from "../report/figures.ts";
import { comparisonFigures } from "./comparison-figures.ts";
import type { Reading, Row } from "./measure.ts";

const none: Reading = {
  perSecond: 100,
  p50Ms: 1,
  p99Ms: 2,
  firstTokenP50Ms: Number.NaN,
  firstTokenP99Ms: Number.NaN,
  processorUs: 50,
  mib: 100,
  busy: 1,
  loadBusy: 0.5,
  kept: 0,
};

function row(subject: string, workload: string, ...rounds: readonly Partial<Reading>[]): Row {
  const whole = rounds.map((each) => ({ ...none, ...each }));
  return { ...none, ...whole[0], workload, subject, rounds: whole };
}

function figure(rows: readonly Row[], part: string, isShort = false) {
  const found = comparisonFigures(rows, isShort).find((each) => each.name.includes(part));
  if (found === undefined) throw new Error(`no figure ${part}`);
  return found;
}

const whole = "whole answers, c=32";

test("a ratio is the median of the rounds' ratios, whatever disturbed one of them", () => {
  const rows = [
    row("direct", whole, {}),
    row("bare forwarder", whole, {}, { processorUs: 500 }, {}),
    row("Meridian", whole, { processorUs: 60 }, { processorUs: 700 }, { processorUs: 900 }),
  ];
  expect(figure(rows, "processor time").value).toBeCloseTo(1.4);
  expect(holds(figure(rows, "processor time"))).toBe(true);
});

test("processor time above its bar fails, and a short run's bar is looser", () => {
  const rows = [
    row("direct", whole, {}),
    row("bare forwarder", whole, {}),
    row("Meridian", whole, { processorUs: 80 }),
  ];
  expect(holds(figure(rows, "processor time"))).toBe(false);
  expect(holds(figure(rows, "processor time", true))).toBe(true);
});

test("a peer is judged at one concurrency, and others than it never", () => {
  const subjects = ["direct", "bare forwarder", "Meridian", "Portkey", "nginx"];
  const rows = [whole, "whole answers, c=10"].flatMap((name) =>
    subjects.map((subject) => row(subject, name, {})),
  );
  const failed = comparisonFigures(rows, false).filter((each) => !holds(each));
  expect(failed.map((each) => each.name)).toEqual([
    `${whole}: requests per second, ratio to Portkey`,
  ]);
});

test("first tokens are judged by what is added over the bare forwarder", () => {
  const at = (ms: number) => ({ firstTokenP50Ms: ms, firstTokenP99Ms: ms * 2 });
  const rows = [
    row("direct", "streams, c=32", at(0.2)),
    row("bare forwarder", "streams, c=32", at(1)),
    row("Meridian", "streams, c=32", at(3.2)),
  ];
  expect(figure(rows, "over the bare forwarder, p50").value).toBeCloseTo(2.2);
  expect(holds(figure(rows, "over the bare forwarder, p50"))).toBe(false);
  expect(holds(figure(rows, "over the bare forwarder, p99"))).toBe(true);
  expect(figure(rows, "over direct, p50").value).toBeCloseTo(3);
});
