// Tables for people: columns as wide as their longest cell, a gap of two.

import { oneLine } from "./printable.ts";

export type Column = { readonly title: string; readonly align?: "left" | "right" };

/** One line per row under a line of titles; "" where there is no row. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return "";
  const titles = columns.map((each) => each.title);
  const lines = [titles, ...rows.map((row) => row.map(oneLine))];
  const widths = titles.map((_, at) =>
    lines.reduce((widest, cells) => Math.max(widest, (cells[at] ?? "").length), 0),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        return columns[at]?.align === "right" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return `${lines.map(line).join("\n")}\n`;
}
