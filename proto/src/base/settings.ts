// Settings of a program, read once at the door: all problems at once, secrets never shown.

import { type Problem, problem } from "./problem.ts";
import { err, ok, type Result } from "./result.ts";

/** Where a setting's text comes from: environment, command line, a test's table. */
export type Lookup = (name: string) => string | undefined;

/** How one setting is read from text. `parse` says what it expected when the text won't do. */
export type Setting<T> = {
  readonly parse: (text: string) => Result<T, string>;
  readonly fallback: T | undefined;
  readonly help: string;
  readonly secret: boolean;
};

export type SettingsTable = { readonly [name: string]: Setting<unknown> };

export type SettingsOf<S extends SettingsTable> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

/**
 * Reads every setting of a table.
 *
 * @example readSettings({ MERIDIAN_REGION: text("region of this program") }, (name) => process.env[name])
 */
export function readSettings<S extends SettingsTable>(
  table: S,
  lookup: Lookup,
): Result<SettingsOf<S>, readonly Problem[]> {
  const problems: Problem[] = [];
  const values: { [name: string]: unknown } = {};
  for (const [name, setting] of Object.entries(table)) {
    const raw = lookup(name);
    if (raw === undefined) {
      if (setting.fallback === undefined) {
        problems.push(problem("setting_missing", name, "is not set", setting.help));
      } else {
        values[name] = setting.fallback;
      }
      continue;
    }
    const parsed = setting.parse(raw);
    if (parsed.kind === "ok") values[name] = parsed.value;
    else problems.push(invalidSetting(name, raw, parsed.error, setting));
  }
  // The loop above filled every name of the table or recorded a problem.
  return problems.length > 0 ? err(problems) : ok(values as SettingsOf<S>);
}

/** name → text for logs, with secrets blanked. */
export function showSettings<S extends SettingsTable>(
  table: S,
  values: SettingsOf<S>,
): { readonly [name: string]: string } {
  const shown: { [name: string]: string } = {};
  for (const [name, setting] of Object.entries(table)) {
    shown[name] = setting.secret ? "*****" : String(values[name]);
  }
  return shown;
}

type Options<T> = { readonly fallback?: T; readonly secret?: boolean };

export function text(help: string, options: Options<string> = {}): Setting<string> {
  return setting(help, options, (raw) => (raw === "" ? err("some text") : ok(raw)));
}

/** Comma-separated; blanks around entries are dropped, empty entries too. */
export function list(
  help: string,
  options: Options<readonly string[]> = {},
): Setting<readonly string[]> {
  return setting(help, options, (raw) =>
    ok(
      raw
        .split(",")
        .map((each) => each.trim())
        .filter((each) => each !== ""),
    ),
  );
}

export function integer(
  help: string,
  limits: { readonly min: number; readonly max: number },
  options: Options<number> = {},
): Setting<number> {
  return setting(help, options, (raw) => {
    const value = Number(raw);
    const fits = /^-?\d+$/.test(raw) && value >= limits.min && value <= limits.max;
    return fits ? ok(value) : err(`a whole number from ${limits.min} to ${limits.max}`);
  });
}

/** `host:port`; the host may be in square brackets. Port 0 asks for any free one. */
export function address(help: string, options: Options<Address> = {}): Setting<Address> {
  return setting(help, options, (raw) => {
    const parsed = parseAddress(raw);
    return parsed === undefined ? err("host:port, for instance 127.0.0.1:8080") : ok(parsed);
  });
}

export type Address = { readonly host: string; readonly port: number };

/** undefined when the text is no `host:port`. */
export function parseAddress(raw: string): Address | undefined {
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:\s/]+):(\d{1,5})$/.exec(raw);
  const host = found?.[1];
  const port = Number(found?.[2]);
  if (host === undefined || port > 65_535) return undefined;
  return { host: host.replace(/^\[|\]$/g, ""), port };
}

function setting<T>(
  help: string,
  options: Options<T>,
  parse: (raw: string) => Result<T, string>,
): Setting<T> {
  return { parse, fallback: options.fallback, help, secret: options.secret ?? false };
}

function invalidSetting(
  name: string,
  raw: string,
  expected: string,
  from: Setting<unknown>,
): Problem {
  const shown = from.secret ? "its value" : JSON.stringify(raw);
  return problem("setting_invalid", name, `${shown} is not ${expected}`, from.help);
}
