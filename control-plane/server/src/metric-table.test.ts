import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { metricTable } from "./metric-table.ts";

const document = readFileSync(new URL("../../../docs/metrics.md", import.meta.url), "utf8");
const section = /\n## Control plane\n([\s\S]*?)(?=\n## |$)/.exec(document)?.[1] ?? "";
const documented = section.split("\n").filter((each) => each.startsWith("| `meridian_"));

test("docs/metrics.md lists every metric of a control plane as it is, and no other", () => {
  const rows = Object.values(metricTable).map(({ name, type, labels, help }) => {
    const shown = labels.map((each) => `\`${each}\``).join(", ");
    return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
  });
  expect(documented).toEqual(rows);
});

test("names follow Prometheus: counters end in _total, times are in seconds", () => {
  for (const { name, type } of Object.values(metricTable)) {
    expect(name).toMatch(/^meridian_control_/);
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(name).not.toMatch(/_ms$|millis/);
  }
});
