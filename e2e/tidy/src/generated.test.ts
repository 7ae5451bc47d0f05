// Generated code is checked in; this makes it anew and compares.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { files, root } from "./sources.ts";

const modules = files(/(^|\/)buf\.gen\.yaml$/).map((file) =>
  file.replace(/\/?buf\.gen\.yaml$/, ""),
);

test.each(modules)("the generated code of %s is what its schema gives", (folder) => {
  const copy = mkdtempSync(join(tmpdir(), "meridian-generated-"));
  try {
    cpSync(join(root, folder), copy, {
      recursive: true,
      filter: (path) => !path.includes("node_modules"),
    });
    symlinkSync(join(root, folder, "node_modules"), join(copy, "node_modules"));
    const [target] = generatedFolders(copy);
    expect(target).toBeDefined();
    const before = contents(join(copy, target ?? ""));
    rmSync(join(copy, target ?? ""), { recursive: true });
    runBuf(copy, ["generate"]);
    expect(contents(join(copy, target ?? ""))).toEqual(before);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

test.each(["proto"])("the schema of %s passes buf's lint", (folder) => {
  runBuf(join(root, folder), ["lint"]);
});

function generatedFolders(copy: string): readonly string[] {
  return readdirSync(join(copy, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => /(^|\/)gen$/.test(path))
    .map((path) => join("src", path));
}

/** path → text of all files below a folder. */
function contents(folder: string): { readonly [path: string]: string } {
  const found: { [path: string]: string } = {};
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    if (path.endsWith(".ts")) found[path] = readFileSync(join(folder, path), "utf8");
  }
  return found;
}

function runBuf(folder: string, args: readonly string[]): void {
  const path = [join(folder, "node_modules", ".bin"), process.env.PATH ?? ""].join(":");
  execFileSync(join(folder, "node_modules", ".bin", "buf"), [...args], {
    cwd: folder,
    env: { ...process.env, PATH: path },
    encoding: "utf8",
  });
}
