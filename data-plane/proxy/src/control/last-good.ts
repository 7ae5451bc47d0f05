// The newest snapshot that was in force, on disk: what a proxy starts from when no control plane answers.
// Written beside, synced and renamed, so that a crash leaves the old file or the new one, never a part of either.
// The one before is kept, for a disk that spoils the newest.

import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { type Snapshot, SnapshotSchema } from "@meridian/proto/gen/snapshot_pb";

export type LastGood = {
  /** The newest file that is whole; and why others were refused. */
  readonly read: () => Promise<LastGoodRead>;
  /** Puts a snapshot on disk. Of several that wait only the last is written; resolves when it or a later one is. */
  readonly write: (snapshot: Snapshot) => Promise<void>;
};

export type LastGoodRead = {
  readonly snapshot: Snapshot | undefined;
  readonly refused: readonly Problem[];
};

const magic = "meridian last-good 1 sha256 ";
const digestLength = 64;
const headLength = magic.length + digestLength + 1;

export function openLastGood(folder: string, region: string): LastGood {
  const newest = join(folder, "last-good.snapshot");
  const former = join(folder, "last-good.former");
  let waiting: Snapshot | undefined;
  let writing: Promise<void> | undefined;

  async function drainWaiting(): Promise<void> {
    try {
      while (waiting !== undefined) {
        const snapshot = waiting;
        waiting = undefined;
        await replace(folder, { newest, former }, encodeLastGood(snapshot));
      }
    } finally {
      writing = undefined;
    }
  }
  return {
    read: () => readNewest([newest, former], region),
    write: (snapshot) => {
      waiting = snapshot;
      writing ??= drainWaiting();
      return writing;
    },
  };
}

/** One line with the checksum, then the encoded snapshot. */
export function encodeLastGood(snapshot: Snapshot): Buffer {
  const body = toBinary(SnapshotSchema, snapshot);
  return Buffer.concat([Buffer.from(`${magic}${digest(body)}\n`), body]);
}

/** Refuses what is not whole, or another region's. `name` is for the problem's path. */
export function decodeLastGood(
  bytes: Buffer,
  region: string,
  name: string,
): Result<Snapshot, Problem> {
  const head = bytes.subarray(0, headLength).toString("latin1");
  if (!head.startsWith(magic) || !head.endsWith("\n")) {
    return err(problem("last_good_broken", name, "does not begin as a last-good file does"));
  }
  const body = bytes.subarray(headLength);
  if (head.slice(magic.length, -1) !== digest(body)) {
    return err(problem("last_good_broken", name, "its content does not have its checksum"));
  }
  const snapshot = decode(body);
  if (snapshot === undefined) {
    return err(problem("last_good_broken", name, "is not an encoded snapshot"));
  }
  if (snapshot.region !== region) {
    const hint = "each proxy needs a data folder of its own";
    return err(problem("region_mismatch", name, `is of ${snapshot.region}, not ${region}`, hint));
  }
  return ok(snapshot);
}

async function readNewest(paths: readonly string[], region: string): Promise<LastGoodRead> {
  const refused: Problem[] = [];
  for (const path of paths) {
    const bytes = await readIfThere(path);
    if (bytes === undefined) continue;
    const read = bytes.kind === "ok" ? decodeLastGood(bytes.value, region, path) : bytes;
    if (read.kind === "ok") return { snapshot: read.value, refused };
    refused.push(read.error);
  }
  return { snapshot: undefined, refused };
}

async function readIfThere(path: string): Promise<Result<Buffer, Problem> | undefined> {
  try {
    return ok(await readFile(path));
  } catch (cause) {
    // Node's file errors carry a code.
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    return err(problem("last_good_unreadable", path, String(cause)));
  }
}

async function replace(
  folder: string,
  paths: { readonly newest: string; readonly former: string },
  bytes: Buffer,
): Promise<void> {
  const beside = `${paths.newest}.new`;
  await mkdir(folder, { recursive: true });
  await withFile(beside, "w", async (file) => {
    await file.writeFile(bytes);
    await file.sync();
  });
  // Between the two renames there is no newest file for a moment; then the former is read.
  await renameIfThere(paths.newest, paths.former);
  await rename(beside, paths.newest);
  await withFile(folder, "r", (directory) => directory.sync());
}

async function withFile(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    // Node's file errors carry a code.
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
}

function decode(body: Buffer): Snapshot | undefined {
  try {
    // As a plain Uint8Array, so that the snapshot's bodies are plain ones too.
    return fromBinary(SnapshotSchema, new Uint8Array(body.buffer, body.byteOffset, body.length));
  } catch {
    return undefined;
  }
}

function digest(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("hex");
}
