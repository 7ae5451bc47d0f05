import { noCounts } from "@meridian/proto/health";
import { expect, test } from "vitest";
import { ProbeLog } from "./probe-log.ts";

function open() {
  const lines: string[] = [];
  const write = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(Object.values(fields))}`);
  };
  // pino's LogFn has more forms than are used here.
  const logger = { info: write("info"), debug: write("debug") } as unknown as ConstructorParameters<
    typeof ProbeLog
  >[0];
  return { log: new ProbeLog(logger), lines };
}

test("the first failure of a row is for everybody, the others for who looks closely", () => {
  const { log, lines } = open();
  log.failed("a", "alive", "timeout");
  log.failed("a", "alive", "status 500");
  log.failed("b", "alive", "timeout");
  expect(lines).toEqual([
    'info probe failed ["a","alive","timeout"]',
    'debug probe failed ["a","alive","status 500"]',
    'info probe failed ["b","alive","timeout"]',
  ]);
});

test("a good one ends the row, once, and the next failure is news again", () => {
  const { log, lines } = open();
  log.failed("a", "alive", "timeout");
  log.ticked("a", { ...noCounts, probes: 1, probesFailed: 1 });
  expect(lines).toHaveLength(1);
  log.ticked("a", { ...noCounts, probes: 2, probesFailed: 1 });
  log.ticked("a", { ...noCounts, probes: 1 });
  log.failed("a", "alive", "timeout");
  expect(lines.slice(1)).toEqual([
    'info probe succeeds again ["a","alive"]',
    'info probe failed ["a","alive","timeout"]',
  ]);
});

test("probes and canaries have rows of their own", () => {
  const { log, lines } = open();
  log.failed("a", "canary", "it does not hold the expected words");
  log.ticked("a", { ...noCounts, probes: 1 });
  log.ticked("a", { ...noCounts, canaries: 1, canariesWrong: 1 });
  expect(lines).toHaveLength(1);
  log.ticked("a", { ...noCounts, canaries: 1 });
  expect(lines.at(-1)).toBe('info probe succeeds again ["a","canary"]');
});

test("of a backend whose probes never failed nothing is written", () => {
  const { log, lines } = open();
  log.ticked("a", { ...noCounts, probes: 1, canaries: 1 });
  expect(lines).toEqual([]);
});
