import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { forget, hasCertificates, noteApplied, wasApplied } from "./kept-state.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-kept-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a policy counts as applied only while it is the last that a start applied", () => {
  expect(wasApplied(folder, "a")).toBe(false);
  noteApplied(folder, "a");
  expect(wasApplied(folder, "a")).toBe(true);
  noteApplied(folder, "b");
  expect(wasApplied(folder, "a")).toBe(false);
});

test("to begin anew removes what a start wrote, and nothing of somebody else's", () => {
  mkdirSync(join(folder, "proxy", "proxy-us-east-1"), { recursive: true });
  writeFileSync(join(folder, "holiday.jpg"), "");
  noteApplied(folder, "a");
  forget(folder);
  expect(existsSync(join(folder, "proxy"))).toBe(false);
  expect(wasApplied(folder, "a")).toBe(false);
  expect(existsSync(join(folder, "holiday.jpg"))).toBe(true);
});

test("where no certificate is, there are none", () => {
  expect(hasCertificates(folder, 0)).toBe(false);
});
