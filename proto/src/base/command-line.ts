// A program's settings on its command line: MERIDIAN_TLS_DIR is also --tls-dir. Flags win over the environment.

import { type Problem, problem } from "./problem.ts";
import { err, type Result } from "./result.ts";
import { type Lookup, readSettings, type SettingsOf, type SettingsTable } from "./settings.ts";

export type CommandLine<S extends SettingsTable> =
  | { readonly kind: "help" }
  | { readonly kind: "settings"; readonly settings: Result<SettingsOf<S>, readonly Problem[]> };

/** `MERIDIAN_TLS_DIR` → `--tls-dir` */
export function flagOf(name: string): string {
  return `--${name
    .replace(/^MERIDIAN_/, "")
    .toLowerCase()
    .replaceAll("_", "-")}`;
}

/**
 * Reads a table from flags (`--tls-dir DIR` or `--tls-dir=DIR`) and environment; all problems at once.
 *
 * @example readCommandLine(table, process.argv.slice(2), (name) => process.env[name])
 */
export function readCommandLine<S extends SettingsTable>(
  table: S,
  args: readonly string[],
  environment: Lookup,
): CommandLine<S> {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  const names = new Map(Object.keys(table).map((name) => [flagOf(name), name]));
  const given = new Map<string, string>();
  const problems: Problem[] = [];
  for (let index = 0; index < args.length; index++) {
    const [flag = "", inline] = splitOnce(args[index] ?? "");
    const name = names.get(flag);
    if (name === undefined) {
      const hint = `flags are: ${[...names.keys()].join(" ")}`;
      problems.push(problem("flag_unknown", flag, "is no flag of this program", hint));
      continue;
    }
    if (inline === undefined) index += 1;
    const value = inline ?? args[index];
    if (value === undefined) {
      problems.push(problem("flag_empty", flag, "needs a value", table[name]?.help));
    } else given.set(name, value);
  }
  const settings = readSettings(table, (name) => given.get(name) ?? environment(name));
  if (problems.length === 0) return { kind: "settings", settings };
  const others = settings.kind === "err" ? settings.error : [];
  return { kind: "settings", settings: err([...problems, ...others]) };
}

/** The text of --help: what the program is, then every setting with flag, name, meaning and default. */
export function formatHelp(usage: string, table: SettingsTable): string {
  const rows = Object.entries(table).map(([name, setting]) => ({
    left: `${flagOf(name)} (${name})`,
    right: `${setting.help}${defaultOf(setting.fallback)}`,
  }));
  const width = Math.max(...rows.map((row) => row.left.length));
  const lines = rows.map((row) => `  ${row.left.padEnd(width)}  ${row.right}`);
  return `${usage}\n\nSettings, as a flag or in the environment:\n${lines.join("\n")}\n`;
}

function splitOnce(arg: string): readonly [string, string | undefined] {
  const at = arg.indexOf("=");
  return at < 0 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)];
}

function defaultOf(fallback: unknown): string {
  if (fallback === undefined) return "; required";
  if (Array.isArray(fallback))
    return fallback.length === 0 ? "" : `; default ${fallback.join(",")}`;
  if (typeof fallback === "object") return "";
  return fallback === "" ? "" : `; default ${fallback}`;
}
