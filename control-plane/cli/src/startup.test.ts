// A person who asks for help or a completion does not wait for gRPC and X.509 to load.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

/** Packages that are loaded before a command runs: what static imports reach from a file, types left out. */
function loaded(file: string, seen = new Set<string>()): readonly string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const form = /^(?:import|export) (?!type )(?:[^;]*? from )?"([^"]+)";/gm;
  const names = [...readFileSync(file, "utf8").matchAll(form)].map((found) => found[1] ?? "");
  return names.flatMap((name) =>
    name.startsWith(".") ? loaded(join(dirname(file), name), seen) : [name],
  );
}

test("only the grammar's library and our base vocabulary are loaded before a command runs", () => {
  const packages = new Set(loaded(join(import.meta.dirname, "main.ts")));
  expect([...packages].sort()).toEqual(["@meridian/proto/base", "commander"]);
});
