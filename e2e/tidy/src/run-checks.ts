// What `npm test` runs: format and lint, types, then all tests; ends with "N passed, N failed".

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

type Count = { readonly passed: number; readonly failed: number };

const root = join(import.meta.dirname, "..", "..", "..");
const { values: options } = parseArgs({
  options: { filter: { type: "string", multiple: true, default: [] } },
});

const counts: Count[] = [];
counts.push(step("format and lint", "biome", ["ci", "--error-on-warnings", "."]));
for (const config of tsconfigs()) counts.push(step(`types ${config}`, "tsc", ["-p", config]));
counts.push(tests(options.filter));

const passed = sum(counts.map((each) => each.passed));
const failed = sum(counts.map((each) => each.failed));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);

function step(name: string, program: string, args: readonly string[]): Count {
  const started = performance.now();
  const done = run(program, args, "pipe");
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const good = done.status === 0;
  console.log(`${good ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (!good) console.log(`${done.stdout}${done.stderr}`);
  return good ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Runs vitest and takes the counts from its JSON report; a run without a report is one failure. */
function tests(filter: readonly string[]): Count {
  const folder = mkdtempSync(join(tmpdir(), "meridian-tests-"));
  const report = join(folder, "report.json");
  const done = run(
    "vitest",
    ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...filter],
    "inherit",
  );
  const count = readReport(report, done.status);
  rmSync(folder, { recursive: true, force: true });
  return count;
}

function readReport(file: string, status: number | null): Count {
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const report = JSON.parse(readFileSync(file, "utf8"));
  const failedTests = Number(report.numFailedTests);
  // A file that could not be loaded has no failed test of its own; the run's status tells.
  const failed = failedTests === 0 && status !== 0 ? 1 : failedTests;
  return { passed: Number(report.numPassedTests), failed };
}

function run(program: string, args: readonly string[], stdio: "pipe" | "inherit") {
  return spawnSync(join(root, "node_modules", ".bin", program), [...args], {
    cwd: root,
    stdio: ["ignore", stdio, stdio],
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
}

function tsconfigs(): string[] {
  const packages = [
    "proto",
    ...["control-plane", "data-plane", "e2e"].flatMap(children),
    "deploy/local",
  ];
  const written = packages.filter((folder) => existsSync(join(root, folder, "src")));
  return written.flatMap((folder) =>
    ["tsconfig.json", "tsconfig.test.json"]
      .map((file) => `${folder}/${file}`)
      .filter((file) => existsSync(join(root, file))),
  );
}

function children(folder: string): string[] {
  return readdirSync(join(root, folder)).map((each) => `${folder}/${each}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
