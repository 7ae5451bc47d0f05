// Figures of a bench: printed as a table beside their bars, and as one line of JSON for programs.

export type Figure = {
  readonly name: string;
  readonly value: number;
  /** "ms", "events", "ratio" …; empty for plain numbers. */
  readonly unit: string;
  /** The most that is good; left out: a figure that is reported and judges nothing. */
  readonly atMost?: number;
  /** The least that is good. */
  readonly atLeast?: number;
};

/** A figure that is above or below its bar, or is no number at all, fails. */
export function holds(figure: Figure): boolean {
  if (Number.isNaN(figure.value)) return false;
  return (
    figure.value <= (figure.atMost ?? Number.POSITIVE_INFINITY) &&
    figure.value >= (figure.atLeast ?? Number.NEGATIVE_INFINITY)
  );
}

/** One line for each figure: name, value, bar, verdict where there is a bar. */
export function formatFigures(title: string, figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${round(figure.value)} ${figure.unit}`.trim(),
    barOf(figure),
    verdictOf(figure),
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [title, ...lines.map((line) => `  ${line}`)].join("\n");
}

/** `{bench, passed, figures: {name: value}, bars: {name: {atMost or atLeast, holds}}}`, without line breaks. */
export function figuresAsJson(bench: string, figures: readonly Figure[]): string {
  const values = Object.fromEntries(figures.map((each) => [each.name, round(each.value)]));
  const judged = figures.filter((each) => barOf(each) !== "");
  // What is undefined is left out of JSON.
  const bars = Object.fromEntries(
    judged.map((each) => [
      each.name,
      { atMost: each.atMost, atLeast: each.atLeast, holds: holds(each) },
    ]),
  );
  return JSON.stringify({ bench, passed: figures.every(holds), figures: values, bars });
}

function barOf(figure: Figure): string {
  const bars = [
    figure.atLeast === undefined ? "" : `at least ${round(figure.atLeast)}`,
    figure.atMost === undefined ? "" : `at most ${round(figure.atMost)}`,
  ];
  return bars.filter((each) => each !== "").join(", ");
}

function verdictOf(figure: Figure): string {
  if (figure.atMost === undefined && figure.atLeast === undefined) return "";
  return holds(figure) ? "holds" : "FALLS SHORT";
}

function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
