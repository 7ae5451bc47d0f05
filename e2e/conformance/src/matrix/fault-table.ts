// The faults, the moments at which each can happen, and what each is to a router. The cells are all of these, with and
// without streaming, with no, one and two healthy alternatives.

import type { Alternatives, Cell, Family, FaultRule, Mode, Moment, Nature } from "./cell.ts";

export type Row = {
  readonly fault: string;
  readonly moments: readonly Moment[];
  readonly modes: readonly Mode[];
  readonly rule: (moment: Moment, mode: Mode) => FaultRule;
  readonly nature: (moment: Moment, mode: Mode) => Nature;
  readonly onPort?: boolean;
};

const both: readonly Mode[] = ["stream", "whole"];
const streamed: readonly Mode[] = ["stream"];
const inAnswer: readonly Moment[] = ["after-headers", "token-0", "token-1", "token-20", "last"];
const everyMoment: readonly Moment[] = ["before-headers", ...inAnswer];

const legal: Nature = { kind: "legal" };

/** Every cell of the plain matrix. */
export function plainCells(): readonly Cell[] {
  return tableRows().flatMap((row) => cellsOf(row, "plain", [0, 1, 2]));
}

/** The table's rows. */
export function tableRows(): readonly Row[] {
  return [...statuses(), ...connections(), ...withinAnswers(), ...ofWholeAnswers()];
}

/** A row's cells under one policy. */
export function cellsOf(
  row: Row,
  family: Family,
  choices: readonly Alternatives[],
): readonly Cell[] {
  return row.moments.flatMap((moment) =>
    row.modes.flatMap((mode) =>
      choices.map((alternatives) => ({
        name: `${family} ${row.fault} ${moment} ${mode} +${alternatives}`,
        family,
        fault: row.fault,
        moment,
        mode,
        alternatives,
        rule: row.rule(moment, mode),
        nature: row.nature(moment, mode),
        onPort: row.onPort ?? false,
        victims: 1,
        leaving: undefined,
        more: {},
      })),
    ),
  );
}

/** Statuses with an error object in OpenAI's shape. */
function statuses(): readonly Row[] {
  const row = (fault: string, rule: object, nature: Nature): Row => ({
    fault,
    moments: ["before-headers"],
    modes: both,
    rule: () => ({ kind: "status", ...rule }),
    nature: () => nature,
  });
  const requestFault = (status: number) =>
    row(`status-${status}`, { status }, { kind: "request-fault", status });
  const targetFault = (status: number, failure = "status") =>
    row(`status-${status}`, { status }, { kind: "fails", failure, status });
  const full = { kind: "fails", failure: "saturated" } as const;
  return [
    requestFault(400),
    requestFault(413),
    requestFault(422),
    row(
      "status-400-unknown-model",
      { status: 400, code: "model_not_found" },
      { kind: "fails", failure: "status", status: 400 },
    ),
    ...[401, 403, 404, 408, 500, 502, 503].map((status) => targetFault(status)),
    ...[429, 529].map((status) => targetFault(status, "saturated")),
    row("status-429-retry-after", { status: 429, retryAfterSeconds: 1 }, { ...full, status: 429 }),
    row("status-503-retry-after", { status: 503, retryAfterSeconds: 1 }, { ...full, status: 503 }),
  ];
}

function connections(): readonly Row[] {
  const row = (kind: string, nature: Nature, onPort: boolean): Row => ({
    fault: kind,
    moments: ["before-headers"],
    modes: both,
    rule: () => ({ kind }),
    nature: () => nature,
    onPort,
  });
  return [
    row("refuse", { kind: "fails", failure: "connect" }, true),
    row("close-at-connect", { kind: "fails", failure: "no-answer" }, true),
    row("black-hole", { kind: "stalls", pings: false }, true),
    row("close-when-reused", { kind: "sent-again" }, false),
  ];
}

/** Faults that come at a place: a stream's before its first token are nobody's secret, later ones are the client's. */
function withinAnswers(): readonly Row[] {
  return [
    atPlaces("reset", everyMoment, (moment) =>
      fails(moment === "before-headers" ? "no-answer" : "reset"),
    ),
    // Nothing but a role is as empty as nothing; a body that breaks off is no JSON.
    atPlaces("end", inAnswer, (moment, mode) => {
      if (mode === "whole") return fails("malformed");
      return fails(isBeforeToken(moment) ? "empty" : "truncated");
    }),
    atPlaces(
      "end-in-frame",
      inAnswer,
      (moment) => fails(isBeforeToken(moment) ? "empty" : "truncated"),
      streamed,
    ),
    atPlaces("stall", everyMoment, () => ({ kind: "stalls", pings: false })),
    atPlaces("pings", inAnswer, () => ({ kind: "stalls", pings: true })),
    atPlaces("error", inAnswer, () => fails("error-frame"), streamed),
    atPlaces("malformed", inAnswer, () => fails("malformed")),
    atPlaces("oversize", inAnswer, () => fails("malformed"), streamed),
  ];
}

function atPlaces(
  fault: string,
  moments: readonly Moment[],
  nature: Row["nature"],
  modes: readonly Mode[] = both,
): Row {
  return { fault, moments, modes, rule: (moment) => placed(fault, moment), nature };
}

function placed(fault: string, moment: Moment): FaultRule {
  if (moment === "before-headers") return { kind: `${fault}-before-headers` };
  return { kind: `${fault}-at-token`, token: tokenOf(moment) };
}

function tokenOf(moment: Moment): number | "headers" {
  const places = { "token-0": 0, "token-1": 1, "token-20": 20, last: 1e6 } as const;
  return moment in places ? places[moment as keyof typeof places] : "headers";
}

function fails(failure: string): Nature {
  return { kind: "fails", failure };
}

/** Nothing that a reader would see has come. */
export function isBeforeToken(moment: Moment): boolean {
  return moment === "before-headers" || moment === "after-headers" || moment === "token-0";
}

function ofWholeAnswers(): readonly Row[] {
  const row = (
    kind: string,
    nature: Row["nature"] | Nature,
    more: { readonly modes?: readonly Mode[]; readonly fields?: object } = {},
  ): Row => ({
    fault: kind,
    moments: ["whole"],
    modes: more.modes ?? both,
    rule: () => ({ kind, ...more.fields }),
    nature: typeof nature === "function" ? nature : () => nature,
  });
  const emptyBody = (_: Moment, mode: Mode) => fails(mode === "stream" ? "empty" : "malformed");
  return [
    row("error-body", fails("error-frame")),
    row("wrong-content-type", fails("malformed")),
    row("empty-stream", emptyBody),
    row("empty-body", emptyBody),
    row("empty-content", fails("empty")),
    row("reset-after-finish", fails("reset"), { modes: streamed }),
    row("whole-answer", legal, { modes: streamed }),
    row("no-sentinel", legal, { modes: streamed }),
    row("no-usage", legal),
    row("trickle", legal, { fields: { bytes: 60, everyMs: 1 } }),
    row("slow", legal, { fields: { factor: 3 } }),
  ];
}
