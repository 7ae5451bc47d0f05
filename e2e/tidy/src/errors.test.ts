// docs/errors.md lists the codes of problems and of errors to clients, no more and no fewer.

import { expect, test } from "vitest";
import { isTest, read, sources } from "./sources.ts";

const code = sources().filter(
  (file) => !isTest(file) && /^(proto|control-plane|data-plane)\//.test(file),
);
const documented = [...read("docs/errors.md").matchAll(/^\| `([a-z_0-9]+)`/gm)].map(
  (found) => found[1] ?? "",
);

test("every code that the code gives as a literal is documented", () => {
  const made =
    /(?:\b(?:problem|warning|refuse|warn|refusal)\(\s*|\bcode: )"([a-z][a-z0-9]*(?:_[a-z0-9]+)*)"/g;
  const given = new Set(
    code.flatMap((file) => [...read(file).matchAll(made)].map((found) => found[1] ?? "")),
  );
  expect(given.size).toBeGreaterThan(40);
  expect([...given].filter((each) => !documented.includes(each)).sort()).toEqual([]);
});

test("every documented code stands in the code", () => {
  const text = code.map(read).join("\n");
  expect(documented.filter((each) => !text.includes(`"${each}"`))).toEqual([]);
  expect(new Set(documented).size).toBe(documented.length);
});
