// The repository's own files and what they import, read as text.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

export const root = join(import.meta.dirname, "..", "..", "..");

/** Packages by folder, and what their code may import beside itself. From the design's table. */
export const packages = {
  proto: { name: "@meridian/proto", pure: true },
  "control-plane/core": { name: "@meridian/control-core", pure: true },
  "control-plane/server": { name: "@meridian/control-server", pure: false },
  "control-plane/cli": { name: "@meridian/cli", pure: false },
  "data-plane/core": { name: "@meridian/data-core", pure: true },
  "data-plane/wire": { name: "@meridian/wire", pure: true },
  "data-plane/proxy": { name: "@meridian/proxy", pure: false },
  "e2e/harness": { name: "@meridian/harness", pure: false },
  "e2e/tests": { name: "@meridian/e2e-tests", pure: false },
  "e2e/bench": { name: "@meridian/bench", pure: false },
  "e2e/conformance": { name: "@meridian/conformance", pure: false },
  "e2e/sim": { name: "@meridian/sim", pure: false },
  "e2e/tidy": { name: "@meridian/tidy", pure: false },
  "deploy/local": { name: "@meridian/local", pure: false },
} as const;

export type Folder = keyof typeof packages;

/** Files that git tracks, or would track, by their path from the root. */
export function files(pattern: RegExp): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return listed.split("\n").filter((each) => pattern.test(each) && existsSync(join(root, each)));
}

/** Hand-written TypeScript: all but generated code. */
export function sources(): readonly string[] {
  return files(/\.(ts|mts)$/).filter((each) => !each.includes("/gen/"));
}

export function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

export function isTest(file: string): boolean {
  const isNamedSo = /\.(test|e2e|contract|property)\.ts$|\/test-[^/]+\.ts$/.test(file);
  return isNamedSo || file.startsWith("e2e/tests/");
}

/** The package folder that a file belongs to. */
export function folderOf(file: string): Folder | undefined {
  return (Object.keys(packages) as Folder[]).find((folder) => file.startsWith(`${folder}/`));
}

/** Module specifiers of static and dynamic imports and re-exports. */
export function importsOf(file: string): readonly string[] {
  const form = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)"([^"]+)"/gm;
  return [...read(file).matchAll(form)].map((found) => found[1] ?? "");
}

/** The file that a relative specifier names, from the root. */
export function resolveRelative(file: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file), specifier));
}
