import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseDocument } from "./parse-document.ts";
import { readDocument } from "./read-document.ts";

const folder = mkdtempSync(join(tmpdir(), "meridian-document-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function problemsOf(text: string | Uint8Array): readonly string[] {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const parsed = parseDocument(bytes);
  return parsed.kind === "ok" ? [] : parsed.error.map((each) => `${each.code} ${each.path}`);
}

test.each([
  ["nothing", "", "empty_document"],
  ["comments alone", "# nothing\n", "empty_document"],
  ["null", "null\n", "empty_document"],
  ["two documents", "a: 1\n---\nb: 2\n", "several_documents"],
  ["a key twice", "a: 1\nb: 2\na: 3\n", "duplicate_key line 3, column 1"],
  ["a key twice within", "a:\n  - { b: 1, b: 2 }\n", "duplicate_key line 2, column 13"],
  ["a key twice once it is JSON", '1: a\n"1": b\n', "duplicate_key line 2, column 1"],
  ["a key twice in JSON", '{"a": 1, "a": 2}', "duplicate_key line 1, column 10"],
  ["an object as a key", "? { a: 1 }\n: b\n", "broken_yaml"],
  ["a tab as indentation", "a:\n\tb: 1\n", "broken_yaml line 2, column 1"],
  ["nesting without end", "[".repeat(100_000), "broken_yaml"],
  ["closed nesting without end", `${"[".repeat(20_000)}${"]".repeat(20_000)}`, "broken_yaml"],
  ["an open bracket", "regions: [\n", "broken_yaml line"],
  ["bad indentation", "a:\n  b: 1\n c: 2\n", "broken_yaml line 3"],
])("%s is refused, with its place", async (_, text, shows) => {
  const problems = problemsOf(text);
  expect(problems.join("\n")).toContain(shows);
});

test("bytes that are no UTF-8 are refused", async () => {
  expect(problemsOf(Uint8Array.of(0x61, 0xff, 0xfe))).toEqual(["invalid_text "]);
});

test("a bomb of aliases is refused before it unfolds", async () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 9; level++) {
    const alias = `*a${level - 1}`;
    lines.push(`a${level}: &a${level} [${Array(9).fill(alias).join(", ")}]`);
  }
  expect(problemsOf(`${lines.join("\n")}\n`)).toEqual(["broken_yaml "]);
});

test("of a hundred thousand mistakes the first are told, and how many more there are", () => {
  const problems = problemsOf("a: 1\n".repeat(100_000));
  expect(problems).toHaveLength(51);
  expect(problems[0]).toBe("duplicate_key line 2, column 1");
  expect(problems.at(-1)).toBe("too_many_problems ");
});

test("an object of a hundred thousand keys is read at once, not key against key", () => {
  const lines = Array.from({ length: 100_000 }, (_, at) => `k${at}: ${at}`);
  expect(problemsOf(lines.join("\n"))).toEqual([]);
});

test("a key that would change prototypes reaches the control plane, which refuses it", () => {
  const parsed = parseDocument(new TextEncoder().encode("__proto__: { a: 1 }\nb: 2\n"));
  const text = parsed.kind === "ok" ? new TextDecoder().decode(parsed.value) : "";
  expect(text).toBe('{"__proto__":{"a":1},"b":2}');
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
        const parsed = parseDocument(new TextEncoder().encode(text));
        const decoded = parsed.kind === "ok" ? new TextDecoder().decode(parsed.value) : "";
        expect(JSON.parse(decoded)).toEqual({ ...given });
      }
    }),
    { numRuns: 200 },
  );
});
