// Files of keys and certificates: a folder appears complete or not at all, and nobody else can read a key.

import { randomUUID } from "node:crypto";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

type Files = { readonly [name: string]: string };

/**
 * Puts a folder with these files in place of whatever stands there; a crash leaves the old folder or the new one.
 * The parent is made when it is missing.
 */
export function replaceFolder(folder: string, files: Files): void {
  // Between making room and taking the place another program may have taken it; the later one wins.
  while (!createFolder(folder, files)) {
    const former = aside(folder);
    renameSync(folder, former);
    rmSync(former, { recursive: true, force: true });
  }
}

/** Makes a folder that must not hold anything yet; false: somebody else was first, and nothing was changed. */
export function createFolder(folder: string, files: Files): boolean {
  const fresh = writeAside(folder, files);
  try {
    renameSync(fresh, folder);
    return true;
  } catch (cause) {
    rmSync(fresh, { recursive: true, force: true });
    // A rename onto a folder with something in it is refused: that is what keeps an authority from being overwritten.
    if (isCode(cause, "ENOTEMPTY") || isCode(cause, "EEXIST")) return false;
    throw cause;
  }
}

export function isCode(cause: unknown, code: string): boolean {
  return cause instanceof Error && "code" in cause && cause.code === code;
}

function writeAside(folder: string, files: Files): string {
  const fresh = aside(folder);
  mkdirSync(fresh, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    const mode = name.endsWith("key.pem") ? 0o600 : 0o644;
    writeFileSync(join(fresh, name), text, { mode, flush: true });
  }
  return fresh;
}

/** Beside the folder, so that a rename never crosses file systems. */
function aside(folder: string): string {
  return join(dirname(folder), `.${basename(folder)}-${randomUUID()}`);
}
