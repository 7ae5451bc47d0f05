// Cells beyond the plain matrix: other regions, streams that go on, hedges, a limit for the head, applications that leave,
// and requests of another shape.

import type { Cell, FaultRule, Mode, Moment } from "./cell.ts";
import { cellsOf, plainCells, type Row, tableRows } from "./fault-table.ts";

/** Every cell that there is. */
export function allCells(): readonly Cell[] {
  return [
    ...plainCells(),
    ...allFailCells(),
    ...abroadCells(),
    ...resumeCells(),
    ...hedgeCells(),
    ...quickCells(),
    ...leavingCells(),
    ...usageCells(),
  ];
}

const late: readonly Moment[] = ["token-1", "token-20", "last"];

/** Everybody fails in the same way: each is asked once, and the client is told of the last. */
function allFailCells(): readonly Cell[] {
  const rows = rowsOf((row) => row.moments.includes("before-headers") && row.onPort !== true);
  const cells = rows.flatMap((row) =>
    cellsOf({ ...row, moments: ["before-headers"] }, "plain", [1, 2]),
  );
  return cells
    .filter((cell) => cell.nature.kind === "fails")
    .map((cell) => ({ ...cell, name: `${cell.name} all fail`, victims: cell.alternatives + 1 }));
}

/** The only healthy server is in another region. */
function abroadCells(): readonly Cell[] {
  return rowsOf((row) => !isLegal(row)).flatMap((row) => cellsOf(row, "abroad", [1]));
}

/** Streams that may go on, here and in another region. */
function resumeCells(): readonly Cell[] {
  const rows = rowsOf((row) => row.moments.includes("token-1")).map((row) => ({
    ...row,
    moments: late,
    modes: ["stream"] as const,
  }));
  const here = rows.flatMap((row) => cellsOf(row, "resume", [0, 1, 2]));
  const elsewhere = rows.flatMap((row) => cellsOf(row, "onward", [1]));
  const twice = here
    .filter((cell) => cell.alternatives === 2 && cell.nature.kind === "fails")
    .map((cell) => ({ ...cell, name: `${cell.name} two fail`, victims: 2 }));
  const structured = here
    .filter((cell) => cell.alternatives === 1 && cell.moment === "token-1")
    .map((cell) => ({
      ...cell,
      name: `${cell.name} structured`,
      more: { response_format: { type: "json_object" } },
    }));
  // What the first victim had said is not said again by the second: both stop at a token of their own.
  const inTurn = twice.filter((cell) => cell.moment === "token-1");
  return [...here, ...elsewhere, ...inTurn, ...structured];
}

/** A second call beside one that is later than usual. */
function hedgeCells(): readonly Cell[] {
  const stalls = rowsOf((row) => row.fault === "stall").map((row) => ({
    ...row,
    modes: ["stream"] as const,
  }));
  const failing = rowsOf((row) => ["status-500", "error-body", "no-usage"].includes(row.fault));
  return [
    ...stalls.flatMap((row) => cellsOf(row, "hedge", [0, 1, 2])),
    ...failing.flatMap((row) => cellsOf(row, "hedge", [1])),
  ];
}

/** A limit for the head of an answer. That of a whole one comes with its body, so its tokens count there, too. */
function quickCells(): readonly Cell[] {
  const stalls = rowsOf((row) => row.fault === "stall");
  const slow = rowsOf((row) => row.fault === "slow").map((row) => ({
    ...row,
    rule: () => ({ kind: "slow", factor: 12 }),
  }));
  return [
    ...stalls.flatMap((row) => cellsOf({ ...row, moments: ["before-headers"] }, "quick", [1, 2])),
    ...slow.flatMap((row) => cellsOf(row, "quick", [1])),
  ];
}

/** Applications that leave: before the head, before the first token, within the answer, and while a second is asked. */
function leavingCells(): readonly Cell[] {
  const cell = (moment: Moment, mode: Mode, rule: FaultRule, more: Partial<Cell>): Cell => ({
    name: `plain leaves ${moment} ${rule.kind} ${mode}`,
    family: "plain",
    fault: "leaves",
    moment,
    mode,
    alternatives: 0,
    rule,
    nature: { kind: "stalls", pings: rule.kind.startsWith("pings") },
    onPort: false,
    victims: 1,
    leaving: { afterMs: 150 },
    more: {},
    ...more,
  });
  const at = (kind: string, token: number | "headers") => ({ kind, token });
  const kinds = ["stall-at-token", "pings-at-token"];
  return [
    cell("before-headers", "stream", { kind: "stall-before-headers" }, {}),
    cell("before-headers", "whole", { kind: "stall-before-headers" }, {}),
    cell("after-headers", "whole", at("stall-at-token", "headers"), {}),
    cell("token-20", "whole", at("stall-at-token", 20), {}),
    cell("whole", "whole", { kind: "slow", factor: 40 }, {}),
    cell("whole", "stream", { kind: "slow", factor: 40 }, { leaving: { afterTokens: 3 } }),
    ...kinds.map((kind) => cell("after-headers", "stream", at(kind, "headers"), {})),
    ...kinds.map((kind) => cell("token-0", "stream", at(kind, 0), {})),
    ...kinds.map((kind) => cell("token-1", "stream", at(kind, 1), { leaving: { afterTokens: 1 } })),
    ...kinds.map((kind) =>
      cell("token-20", "stream", at(kind, 20), { leaving: { afterTokens: 20 } }),
    ),
    cell(
      "before-headers",
      "stream",
      { kind: "stall-before-headers" },
      {
        name: "plain leaves the second call stream",
        alternatives: 1,
        victims: 2,
        leaving: { afterMs: 1_200 },
      },
    ),
  ];
}

/** Usage that the client asked for, told and not told by the model server. */
function usageCells(): readonly Cell[] {
  const rows = rowsOf((row) => row.fault === "slow" || row.fault === "no-usage");
  return rows
    .flatMap((row) => cellsOf(row, "plain", [1]))
    .filter((cell) => cell.mode === "stream")
    .map((cell) => ({
      ...cell,
      name: `${cell.name} usage asked`,
      more: { stream_options: { include_usage: true } },
    }));
}

function rowsOf(keep: (row: Row) => boolean): readonly Row[] {
  return tableRows().filter(keep);
}

function isLegal(row: Row): boolean {
  const [moment] = row.moments;
  const [mode] = row.modes;
  return moment !== undefined && mode !== undefined && row.nature(moment, mode).kind === "legal";
}
