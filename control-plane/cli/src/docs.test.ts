// docs/cli.md tells every command, option, default and exit code, and no others.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command, Option } from "commander";
import { expect, test } from "vitest";
import { exitCodes } from "./outcome.ts";
import { noPaint } from "./paint.ts";
import { makeProgram } from "./program.ts";
import { withSharedFlags } from "./shared-flags.ts";

const text = readFileSync(join(import.meta.dirname, "../../../docs/cli.md"), "utf8");
const program = makeProgram({
  settle: async () => undefined,
  paint: noPaint,
  write: () => undefined,
});

/** Commands that do something, by what a person types. */
function leaves(command: Command, path: string): readonly (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[path, command]];
  return command.commands.flatMap((each) => leaves(each, `${path} ${each.name()}`));
}

const commands = leaves(program, "meridian");
const shared = withSharedFlags(program.createCommand("any")).options;

function section(title: string): string {
  const found = text.split(`\n## ${title}\n`)[1]?.split("\n## ")[0];
  expect(found, `a section ${title}`).toBeDefined();
  return found ?? "";
}

/** First and second cells of a section's table. */
function rows(title: string): readonly (readonly string[])[] {
  return [...section(title).matchAll(/^\| `?([^|`]+)`? \| `?([^|`]*?)`? \|/gm)]
    .map(([, first = "", second = ""]) => [first, second] as const)
    .filter(([first]) => !["option", "code"].includes(first) && !/^-+$/.test(first));
}

test("every command has its section, and every section its command", () => {
  const titles = [...text.matchAll(/^## `(meridian [^`]+)`$/gm)].map((found) => found[1] ?? "");
  const names = commands.map(([path]) => path);
  expect([...titles].sort()).toEqual([...names].sort());
});

test.each(commands)("%s is documented option by option", (path, command) => {
  const own = command.options.filter((each) => !shared.some((other) => other.long === each.long));
  expect(rows(`\`${path}\``)).toEqual(own.map((each) => [each.long, expect.any(String)]));
  const isRequired = (each: Option) => each.mandatory;
  const required = rows(`\`${path}\``).filter(([, fallback]) => fallback === "required");
  expect(required.map(([name]) => name)).toEqual(own.filter(isRequired).map((each) => each.long));
  const hasShared = command.options.some((each) => each.long === "--server");
  expect(hasShared).toBe(!/ (pki|completion)\b/.test(path));
});

test("the options of all have their true defaults", () => {
  const actual = shared.map((each) => [each.long, String(each.defaultValue)]);
  expect(rows("Which control plane")).toEqual(actual);
  for (const each of shared) {
    if (each.envVar !== undefined) expect(section("Which control plane")).toContain(each.envVar);
  }
});

test("every exit code is documented, and told by --help", () => {
  const codes = Object.values(exitCodes).map(String);
  expect([...section("Exit codes").matchAll(/^\| (\d) \|/gm)].map((found) => found[1])).toEqual(
    codes,
  );
  let help = "";
  program.configureOutput({ writeOut: (said) => (help += said) }).outputHelp();
  expect([...help.matchAll(/^ {2}(\d) {2}\S/gm)].map((found) => found[1])).toEqual(codes);
});
