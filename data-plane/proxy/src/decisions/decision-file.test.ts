import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useFolder } from "../test-proxy.ts";
import { DecisionFile } from "./decision-file.ts";
import { decisionRecord } from "./decision-record.ts";
import { broken } from "./test-finished.ts";

const root = useFolder();
let folders = 0;
const newPath = () => join(root, String(++folders), "decisions", "main");
const record = (id: string) =>
  decisionRecord(broken(id), { proxy: "p", region: "eu", stateAgeMs: 1 });

function open(path: string, segmentBytesMax = 1_000_000): DecisionFile {
  const failed = (cause: unknown) => failures.push(cause);
  return new DecisionFile({ path, segmentBytesMax, failed });
}
const failures: unknown[] = [];

const ids = (found: readonly { readonly id: string }[]) => found.map((each) => each.id);

test("what was written is found by either id after a restart, and is whole", async () => {
  const path = newPath();
  const file = open(path);
  for (const id of ["a", "b", "c"]) file.add(record(id));
  await file.flush();
  const again = open(path);
  expect(await again.find("dec_b", 9)).toEqual([record("b")]);
  expect(ids(await again.find("req_c", 9))).toEqual(["dec_c"]);
  expect(await again.find("dec", 9)).toEqual([]);
  expect(ids(await again.latest(2))).toEqual(["dec_c", "dec_b"]);
});

test("what waits is found without waiting for the disk's turn", async () => {
  const file = open(newPath());
  file.add(record("a"));
  expect(ids(await file.find("dec_a", 9))).toEqual(["dec_a"]);
});

test("two segments are kept, and never more bytes than their bound", async () => {
  const path = newPath();
  const segmentBytesMax = 5_000;
  const file = open(path, segmentBytesMax);
  for (let each = 0; each < 100; each += 1) {
    file.add(record(String(each)));
    await file.flush();
  }
  const folder = join(path, "..");
  expect(readdirSync(folder).sort()).toEqual(["main.former.jsonl", "main.jsonl"]);
  for (const name of readdirSync(folder)) {
    expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(segmentBytesMax);
  }
  const latest = ids(await file.latest(100));
  expect(latest.length).toBeGreaterThan(5);
  expect(latest).toEqual(latest.map((_, back) => `dec_${99 - back}`));
  expect(await file.find("dec_0", 9)).toEqual([]);
});

test("a segment goes on to fill after a restart", async () => {
  const path = newPath();
  for (let each = 0; each < 20; each += 1) {
    const file = open(path, 5_000);
    file.add(record(String(each)));
    await file.flush();
  }
  expect(statSync(`${path}.jsonl`).size).toBeLessThanOrEqual(5_000);
  expect(statSync(`${path}.former.jsonl`).size).toBeLessThanOrEqual(5_000);
});

test("a line that a crash cut short spoils no other", async () => {
  const path = newPath();
  const file = open(path);
  file.add(record("a"));
  await file.flush();
  appendFileSync(`${path}.jsonl`, readFileSync(`${path}.jsonl`, "utf8").slice(0, 40));
  const again = open(path);
  again.add(record("b"));
  await again.flush();
  expect(ids(await again.latest(9))).toEqual(["dec_b", "dec_a"]);
});

test("a disk that refuses costs the records and nothing else, is told once, and is tried again", async () => {
  const path = newPath();
  // A file where the folder should be.
  mkdirSync(join(path, "..", ".."), { recursive: true });
  writeFileSync(join(path, ".."), "");
  failures.length = 0;
  const file = open(path);
  for (const id of ["a", "b"]) {
    file.add(record(id));
    await file.flush();
  }
  expect(file.dropped).toBe(2);
  expect(failures).toHaveLength(1);
  expect(await file.find("dec_a", 9)).toEqual([]);
});

test("records that come faster than the disk takes them are dropped and counted", () => {
  const file = open(newPath());
  for (let each = 0; each < 1_005; each += 1) file.add(record(String(each)));
  expect(file.dropped).toBe(5);
});
