// The health of backends for people: one backend with its evidence, and the tests that verdicts rest on.

import { formatDuration } from "@meridian/proto/base";
import type {
  BackendHealthReport,
  HealthTest,
  SignalEvidence,
  StatusResponse,
} from "@meridian/proto/gen/admin_pb";
import { oneLine } from "./printable.ts";
import { formatTable } from "./table.ts";

/** `now`: milliseconds since 1970. */
export function renderBackendHealth(report: BackendHealthReport, now: number): string {
  const { name, region, verdict, reason, share, ejections, controlPlane } = report;
  const since = ago(report.sinceMs, now);
  const lines = [
    `${name} (${region}) is ${verdict}: ${reason}`,
    `  ${phaseText(report, now)} since ${since}, share ${percent(share)}, ` +
      `${ejections} ejection${ejections === 1 ? "" : "s"} remembered, judged by ${controlPlane}`,
  ].map(oneLine);
  const outlook = report.outlook.map((each) => oneLine(`  ${each}`));
  const history = report.history.map((each) =>
    oneLine(`  ${ago(each.atMs, now)}: ${each.verdict}, ${each.reason}`),
  );
  return [
    ...lines,
    "",
    evidenceTable(report.signals, now).trimEnd(),
    "",
    "What would change it:",
    ...outlook,
    ...(history.length === 0 ? [] : ["", "Verdicts before, newest first:", ...history]),
    "",
  ].join("\n");
}

function phaseText({ phase, untilMs }: BackendHealthReport, now: number): string {
  if (phase !== "out") return phase;
  return `out for another ${formatDuration(Math.max(0, Number(untilMs) - now))},`;
}

function evidenceTable(signals: readonly SignalEvidence[], now: number): string {
  const columns = [
    { title: "SIGNAL" },
    { title: "SUM", align: "right" },
    { title: "ALARM AT", align: "right" },
    { title: "BAD", align: "right" },
    { title: "OF", align: "right" },
    { title: "95 % INTERVAL", align: "right" },
    { title: "SINCE", align: "right" },
    { title: "" },
  ] as const;
  return formatTable(
    columns,
    signals.map((each) => {
      const isQuiet = each.n === 0n;
      return [
        each.signal,
        each.sum.toFixed(1),
        each.threshold.toFixed(1),
        isQuiet ? "-" : String(each.bad),
        isQuiet ? "-" : String(each.n),
        isQuiet ? "-" : `${rate(each.low)} to ${rate(each.high)}`,
        isQuiet ? "-" : ago(each.sinceMs, now),
        each.alarmed ? "alarmed" : "",
      ];
    }),
  );
}

/** The verdicts of all backends, and the tests with what they promise. */
export function renderHealth(status: StatusResponse): string {
  const tests = testTable(status.healthTests);
  return `${verdictTable(status)}${tests === "" ? "" : `\n${tests}`}`;
}

function verdictTable({ backends }: StatusResponse): string {
  const columns = [
    { title: "BACKEND" },
    { title: "REGION" },
    { title: "VERDICT" },
    { title: "SHARE", align: "right" },
    { title: "CANARY TOKENS/DAY", align: "right" },
    { title: "REASON" },
  ] as const;
  return formatTable(
    columns,
    backends.map((each) => [
      each.name,
      each.region,
      each.verdict === "" ? "none" : each.verdict,
      each.verdict === "" ? "-" : percent(each.share),
      String(each.canaryTokensPerDay),
      each.verdictReason,
    ]),
  );
}

function testTable(tests: readonly HealthTest[]): string {
  const columns = [
    { title: "TEST" },
    { title: "USUAL", align: "right" },
    { title: "NOTICED", align: "right" },
    { title: "ALARM AT", align: "right" },
    { title: "EVENTS TO A FALSE ALARM", align: "right" },
    { title: "PROMISED", align: "right" },
    { title: "TO NOTICE", align: "right" },
    { title: "IF ALL ARE BAD", align: "right" },
  ] as const;
  return formatTable(
    columns,
    tests.map((each) => [
      each.signal,
      rate(each.p0),
      rate(each.p1),
      each.threshold.toFixed(1),
      each.eventsToFalseAlarm.toExponential(1),
      each.eventsPromised.toExponential(1),
      each.eventsToDetect.toFixed(0),
      each.eventsToDetectAll.toFixed(0),
    ]),
  );
}

function ago(ms: bigint, now: number): string {
  return ms === 0n ? "the start" : `${formatDuration(Math.max(0, now - Number(ms)))} ago`;
}

function percent(thousandths: number): string {
  return `${thousandths / 10} %`;
}

function rate(share: number): string {
  const shown = share * 100;
  return `${shown < 1 && shown > 0 ? shown.toFixed(1) : shown.toFixed(0)} %`;
}
