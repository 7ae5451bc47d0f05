// What files are called, what they begin with, and that somebody uses them.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { files, importsOf, isTest, read, resolveRelative, root, sources } from "./sources.ts";

test("no file or folder has a name that says nothing", () => {
  const empty = /(^|\/)(utils?|helpers?|common|misc|manager|lib)(\.ts|\/)/;
  expect(files(/./).filter((file) => empty.test(file))).toEqual([]);
});

test("every source file opens by saying what it is for", () => {
  const silent = sources().filter(
    (file) => !isTest(file) && !/^(#!.*\n)?(\/\/|\/\*)/.test(read(file)),
  );
  expect(silent).toEqual([]);
});

test("nothing is left for later in the code", () => {
  const later = new RegExp(`\\b(${["TO", "FIX"].map((a, i) => a + ["DO", "ME"][i]).join("|")})\\b`);
  expect(sources().filter((file) => later.test(read(file)))).toEqual([]);
});

test("every source file is imported, exported by a manifest, or a program of its own", () => {
  const used = new Set(
    sources().flatMap((file) =>
      importsOf(file)
        .filter((each) => each.startsWith("."))
        .map((each) => resolveRelative(file, each)),
    ),
  );
  const doors = files(/package\.json$/)
    .map(read)
    .join("\n");
  const programs = sources()
    .map(read)
    .concat(files(/package\.json$/).map(read));
  const dead = sources()
    .filter((file) => !isTest(file) && file.includes("/src/") && !used.has(file))
    .filter((file) => !doors.includes(file.replace(/^.*?\/src\//, "./src/")))
    .filter((file) => !file.endsWith("/index.ts"))
    .filter((file) => !programs.some((text) => text.includes(nameInText(file))));
  expect(dead).toEqual([]);
});

/** How a program is named where it is started: the last two parts of its path. */
function nameInText(file: string): string {
  return file.split("/").slice(-1)[0] ?? file;
}

test("protocol folders mirror each other", () => {
  const wire = join(root, "data-plane", "wire", "src");
  const folders = readdirSync(wire, { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map((each) => each.name);
  const listings = folders.map((folder) =>
    readdirSync(join(wire, folder))
      .filter((file) => !file.includes(".test."))
      .sort(),
  );
  for (const listing of listings) expect(listing).toEqual(listings[0]);
  expect(listings.length).toBeGreaterThan(0);
});
