// Documents name only what exists.

import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { expect, test } from "vitest";
import { files, read, root } from "./sources.ts";

const documents = files(/\.md$/);

test("every document has one title", () => {
  const odd = documents.filter((file) => {
    const text = read(file).replace(/^```[\s\S]*?^```/gm, "");
    return (text.match(/^# /gm) ?? []).length !== 1;
  });
  expect(odd).toEqual([]);
});

test("every relative link leads to a file", () => {
  const broken = documents.flatMap((file) =>
    [...read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map((found) => found[1] ?? "")
      .filter((link) => !existsSync(join(root, posix.dirname(file), link)))
      .map((link) => `${file} → ${link}`),
  );
  expect(broken).toEqual([]);
});

test("every npm command that a document names is a script", () => {
  // Our own manifest.
  const manifest = JSON.parse(read("package.json")) as { scripts: { [name: string]: string } };
  const unknown = documents.flatMap((file) =>
    [...read(file).matchAll(/\bnpm run (?:--silent )?([a-z][a-z:-]*)/g)]
      .map((found) => found[1] ?? "")
      .filter((name) => manifest.scripts[name] === undefined)
      .map((name) => `${file}: npm run ${name}`),
  );
  expect(unknown).toEqual([]);
});

test("every decision record is in the list of decisions", () => {
  const index = read("docs/adr/README.md");
  const missing = files(/^docs\/adr\/\d{4}-.*\.md$/).filter(
    (file) => !index.includes(posix.basename(file)),
  );
  expect(missing).toEqual([]);
});

test("every folder that the README's map names exists", () => {
  const map = /## Map[\s\S]*?(?=\n## )/.exec(read("README.md"))?.[0] ?? "";
  const named = [...map.matchAll(/^\| \[?`([^`]+)`/gm)].map((found) => found[1] ?? "");
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((folder) => !existsSync(join(root, folder)))).toEqual([]);
});

test("no document or source names a machine's own path", () => {
  const own = new RegExp(["/wo", "rk/|/ro", "ot/"].join(""));
  expect(files(/\.(md|ts|mjs|json|yaml|yml)$/).filter((file) => own.test(read(file)))).toEqual([]);
});
