import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseDocument, readDocument } from "./read-document.ts";

const folder = mkdtempSync(join(tmpdir(), "meridian-document-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function problemsOf(text: string | Uint8Array): Promise<readonly string[]> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const parsed = await parseDocument(bytes);
  return parsed.kind === "ok" ? [] : parsed.error.map((each) => `${each.code} ${each.path}`);
}

test.each([
  ["nothing", "", "empty_document"],
  ["comments alone", "# nothing\n", "empty_document"],
  ["null", "null\n", "empty_document"],
  ["two documents", "a: 1\n---\nb: 2\n", "several_documents"],
  ["a key twice", "a: 1\nb: 2\na: 3\n", "broken_yaml line 3"],
  ["an open bracket", "regions: [\n", "broken_yaml line"],
  ["bad indentation", "a:\n  b: 1\n c: 2\n", "broken_yaml line 3"],
])("%s is refused, with its place", async (_, text, shows) => {
  const problems = await problemsOf(text);
  expect(problems.join("\n")).toContain(shows);
});

test("bytes that are no UTF-8 are refused", async () => {
  expect(await problemsOf(Uint8Array.of(0x61, 0xff, 0xfe))).toEqual(["invalid_text "]);
});

test("a bomb of aliases is refused before it unfolds", async () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 9; level++) {
    const alias = `*a${level - 1}`;
    lines.push(`a${level}: &a${level} [${Array(9).fill(alias).join(", ")}]`);
  }
  expect(await problemsOf(`${lines.join("\n")}\n`)).toEqual(["broken_yaml "]);
});

test("a file above the limit is refused before it is parsed", async () => {
  const file = join(folder, "large.yaml");
  writeFileSync(file, `a: ${"x".repeat(5 * 1024 * 1024)}`);
  const read = await readDocument(file);
  expect(read).toMatchObject({ kind: "err", error: { problems: [{ code: "too_large" }] } });
});

test("a file that is not there is told by name", async () => {
  const read = await readDocument(join(folder, "absent.yaml"));
  expect(read).toMatchObject({ kind: "err", error: { failure: { code: 2 } } });
});

test("any JSON value that YAML can say comes through as it is", async () => {
  const key = fc.string({ minLength: 1 }).filter((each) => each !== "__proto__");
  const value = fc.dictionary(key, fc.oneof(fc.string(), fc.integer(), fc.boolean()), {
    minKeys: 1,
  });
  await fc.assert(
    fc.asyncProperty(value, async (given) => {
      for (const text of [stringify(given), JSON.stringify(given)]) {
        const parsed = await parseDocument(new TextEncoder().encode(text));
        const decoded = parsed.kind === "ok" ? new TextDecoder().decode(parsed.value) : "";
        expect(JSON.parse(decoded)).toEqual({ ...given });
      }
    }),
    { numRuns: 200 },
  );
});
