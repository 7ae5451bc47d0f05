import { expect, test } from "vitest";
import {
  address,
  integer,
  list,
  parseAddress,
  readSettings,
  showSettings,
  text,
} from "./settings.ts";

const table = {
  REGION: text("the region"),
  PORT: integer("a port", { min: 1, max: 65_535 }, { fallback: 80 }),
  PEERS: list("peers", { fallback: [] }),
  LISTEN: address("where to listen", { fallback: { host: "127.0.0.1", port: 0 } }),
  TOKEN: text("a token", { fallback: "x", secret: true }),
};

test("all problems are told at once, each under its name", () => {
  const got = readSettings(table, (name) => ({ PORT: "70000", LISTEN: "nowhere" })[name]);
  expect(got.kind === "err" && got.error.map((each) => `${each.code} ${each.path}`)).toEqual([
    "setting_missing REGION",
    "setting_invalid PORT",
    "setting_invalid LISTEN",
  ]);
});

test("a secret's value appears neither in problems nor in what is shown", () => {
  const values = readSettings(table, (name) => ({ REGION: "eu", TOKEN: "hush" })[name]);
  expect(values.kind).toBe("ok");
  if (values.kind === "ok") {
    expect(JSON.stringify(showSettings(table, values.value))).not.toContain("hush");
  }
});

test.each([
  ["127.0.0.1:80", { host: "127.0.0.1", port: 80 }],
  ["[::1]:0", { host: "::1", port: 0 }],
  ["host", undefined],
  ["host:99999", undefined],
  [":80", undefined],
  ["a b:80", undefined],
])("the address %s is read as %o", (raw, expected) => {
  expect(parseAddress(raw)).toEqual(expected);
});
