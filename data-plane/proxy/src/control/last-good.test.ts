import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { makeResource, makeSnapshot } from "@meridian/proto/snapshot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeLastGood, encodeLastGood, openLastGood } from "./last-good.ts";

const region = "eu-west";
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "last-good-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function snapshot(sequence: number, of = region) {
  const version = create(VersionSchema, { epoch: 1n, sequence: BigInt(sequence) });
  const body = new TextEncoder().encode(`content ${sequence}`);
  return makeSnapshot(version, of, [makeResource("model/a", body)]);
}

test("what was written is read again", async () => {
  await openLastGood(folder, region).write(snapshot(1));
  const read = await openLastGood(folder, region).read();
  expect(read).toEqual({ snapshot: snapshot(1), refused: [] });
});

test("an empty folder holds nothing, and that is no problem", async () => {
  const read = await openLastGood(join(folder, "none"), region).read();
  expect(read).toEqual({ snapshot: undefined, refused: [] });
});

test("a file that is cut at any byte is refused", () => {
  const whole = encodeLastGood(snapshot(1));
  for (let length = 0; length < whole.length; length++) {
    const read = decodeLastGood(whole.subarray(0, length), region, "file");
    expect(read).toMatchObject({ kind: "err", error: { code: "last_good_broken" } });
  }
  expect(decodeLastGood(whole, region, "file").kind).toBe("ok");
});

test("a file in which any byte was changed is refused", () => {
  const whole = encodeLastGood(snapshot(1));
  for (let index = 0; index < whole.length; index++) {
    const bent = Buffer.from(whole);
    bent.writeUInt8((bent.readUInt8(index) + 1) % 256, index);
    expect(decodeLastGood(bent, region, "file").kind).toBe("err");
  }
});

test("another region's file is refused with its reason", async () => {
  await openLastGood(folder, "us-east").write(snapshot(1, "us-east"));
  const { snapshot: found, refused } = await openLastGood(folder, region).read();
  expect(found).toBeUndefined();
  expect(refused).toMatchObject([
    { code: "region_mismatch", message: "is of us-east, not eu-west" },
  ]);
});

test("when the newest is spoilt the one before is read, and the refusal is told", async () => {
  const file = openLastGood(folder, region);
  await file.write(snapshot(1));
  await file.write(snapshot(2));
  const path = join(folder, "last-good.snapshot");
  writeFileSync(path, readFileSync(path).subarray(0, 100));
  const read = await file.read();
  expect(read.snapshot).toEqual(snapshot(1));
  expect(read.refused).toMatchObject([{ code: "last_good_broken", path }]);
});

test("a crash between the two renames leaves the former", async () => {
  const file = openLastGood(folder, region);
  await file.write(snapshot(1));
  await file.write(snapshot(2));
  rmSync(join(folder, "last-good.snapshot"));
  expect(await file.read()).toEqual({ snapshot: snapshot(1), refused: [] });
});

test("of snapshots that come while one is written only the last is written", async () => {
  const file = openLastGood(folder, region);
  const writes = Array.from({ length: 20 }, (_, sequence) => file.write(snapshot(sequence)));
  await Promise.all(writes);
  expect((await file.read()).snapshot).toEqual(snapshot(19));
  const former = readFileSync(join(folder, "last-good.former"));
  expect(decodeLastGood(former, region, "former")).toMatchObject({ value: snapshot(0) });
  expect(readdirSync(folder).sort()).toEqual(["last-good.former", "last-good.snapshot"]);
});

test("a write that fails is told, and the next one goes on", async () => {
  const blocked = join(folder, "blocked");
  writeFileSync(blocked, "a file where the folder should be");
  const file = openLastGood(blocked, region);
  await expect(file.write(snapshot(1))).rejects.toThrow();
  rmSync(blocked);
  await file.write(snapshot(2));
  expect((await file.read()).snapshot).toEqual(snapshot(2));
});
