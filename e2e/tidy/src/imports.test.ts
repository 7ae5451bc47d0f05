// Who may import what: the design's table, held here for what manifests and compilers can't hold.

import { expect, test } from "vitest";
import {
  type Folder,
  folderOf,
  importsOf,
  isTest,
  packages,
  read,
  resolveRelative,
  sources,
} from "./sources.ts";

/** Packages of ours that each folder's code (tests aside) may import. */
const allowed: { readonly [F in Folder]: readonly string[] } = {
  proto: [],
  "control-plane/core": ["@meridian/proto"],
  "control-plane/server": ["@meridian/proto", "@meridian/control-core", "@meridian/data-core"],
  "control-plane/cli": ["@meridian/proto"],
  "data-plane/core": ["@meridian/proto"],
  "data-plane/wire": ["@meridian/proto/base"],
  "data-plane/proxy": ["@meridian/proto", "@meridian/data-core", "@meridian/wire"],
  // Programs are started, not imported; the base vocabulary and the wire schemas are common to all.
  "e2e/harness": ["@meridian/proto"],
  "e2e/tests": ["@meridian/harness"],
  // It times decisions in the pure core itself.
  "e2e/bench": [
    "@meridian/harness",
    "@meridian/proto",
    "@meridian/control-server/store",
    "@meridian/data-core",
  ],
  "e2e/conformance": ["@meridian/harness", "@meridian/bench/report", "@meridian/proto/base"],
  "e2e/sim": [
    "@meridian/control-core",
    "@meridian/data-core",
    "@meridian/wire",
    "@meridian/proto",
    "@meridian/control-server/store",
    "@meridian/bench/report",
  ],
  "e2e/tidy": [],
  "deploy/local": ["@meridian/harness", "@meridian/proto/base"],
};

const code = sources().filter((file) => !isTest(file) && folderOf(file) !== undefined);

test("every package of ours that a file imports is one that its folder may import", () => {
  const wrong = code.flatMap((file) => {
    const folder = folderOf(file);
    if (folder === undefined) return [];
    const may = [...allowed[folder], packages[folder].name];
    return importsOf(file)
      .filter((each) => each.startsWith("@meridian/"))
      .filter((each) => !may.some((door) => each === door || each.startsWith(`${door}/`)))
      .map((each) => `${file} imports ${each}`);
  });
  expect(wrong).toEqual([]);
});

test("a relative import never leaves its package", () => {
  const wrong = sources().flatMap((file) => {
    const folder = folderOf(file);
    if (folder === undefined) return [];
    return importsOf(file)
      .filter((each) => each.startsWith("."))
      .filter((each) => !resolveRelative(file, each).startsWith(`${folder}/`))
      .map((each) => `${file} imports ${each}`);
  });
  expect(wrong).toEqual([]);
});

test("pure packages import neither Node's modules nor I/O libraries", () => {
  const libraries = ["@bufbuild/protobuf", "@noble/hashes"];
  const wrong = code.flatMap((file) => {
    const folder = folderOf(file);
    if (folder === undefined || !packages[folder].pure) return [];
    return importsOf(file)
      .filter((each) => !each.startsWith(".") && !each.startsWith("@meridian/"))
      .filter((each) => !libraries.some((may) => each === may || each.startsWith(`${may}/`)))
      .map((each) => `${file} imports ${each}`);
  });
  expect(wrong).toEqual([]);
});

test("the base vocabulary imports nothing but itself", () => {
  const wrong = code
    .filter((file) => file.startsWith("proto/src/base/"))
    .flatMap((file) =>
      importsOf(file)
        .filter((each) => !/^\.\/[a-z-]+\.ts$/.test(each))
        .map((each) => `${file} imports ${each}`),
    );
  expect(wrong).toEqual([]);
});

test("one protocol folder never imports another", () => {
  const protocol = /^data-plane\/wire\/src\/([a-z]+)\//;
  const wrong = code.flatMap((file) => {
    const own = protocol.exec(file)?.[1];
    if (own === undefined) return [];
    return importsOf(file)
      .filter((each) => each.startsWith("."))
      .filter((each) => {
        const other = protocol.exec(resolveRelative(file, each))?.[1];
        return other !== undefined && other !== own;
      })
      .map((each) => `${file} imports ${each}`);
  });
  expect(wrong).toEqual([]);
});

test("nothing in pure code reads a clock or draws from a generator that it was not handed", () => {
  const banned = /\bMath\.random\b|\bDate\.now\b|\bnew Date\b|\bperformance\.now\b|\bcrypto\./;
  const wrong = code.filter((file) => {
    const folder = folderOf(file);
    return folder !== undefined && packages[folder].pure && banned.test(stripComments(file));
  });
  expect(wrong).toEqual([]);
});

function stripComments(file: string): string {
  return read(file)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "");
}
