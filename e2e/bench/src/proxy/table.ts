// The rows of one workload as a table for people.

import type { Row } from "./measure.ts";

type Column = { readonly title: string; readonly cell: (row: Row) => string };

const columns: readonly Column[] = [
  { title: "", cell: (row) => row.subject },
  { title: "req/s", cell: (row) => shown(row.perSecond) },
  { title: "p50 ms", cell: (row) => shown(row.p50Ms) },
  { title: "p99 ms", cell: (row) => shown(row.p99Ms) },
  { title: "1st p50", cell: (row) => shown(row.firstTokenP50Ms) },
  { title: "1st p99", cell: (row) => shown(row.firstTokenP99Ms) },
  { title: "cpu µs", cell: (row) => shown(row.processorUs) },
  { title: "MiB", cell: (row) => shown(row.mib) },
  { title: "busy", cell: (row) => percent(row.busy) },
  { title: "kept", cell: (row) => percent(row.kept) },
  { title: "load", cell: (row) => percent(row.loadBusy) },
];

/** All rows must be of one workload. */
export function formatRows(rows: readonly Row[]): string {
  const lines = [
    columns.map((each) => each.title),
    ...rows.map((row) => columns.map((each) => each.cell(row))),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
  return [rows[0]?.workload ?? "", ...text.map((line) => `  ${line}`)].join("\n");
}

function shown(value: number): string {
  if (Number.isNaN(value)) return "–";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function percent(share: number): string {
  return Number.isNaN(share) ? "–" : `${(share * 100).toFixed(0)} %`;
}
