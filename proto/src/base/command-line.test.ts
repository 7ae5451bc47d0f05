import { expect, test } from "vitest";
import { formatHelp, readCommandLine } from "./command-line.ts";
import { integer, text } from "./settings.ts";

const table = {
  MERIDIAN_REGION: text("the region"),
  MERIDIAN_BODY_MAX_BYTES: integer("bytes", { min: 1, max: 99 }, { fallback: 7 }),
};
const nothing = () => undefined;

test.each([
  [["--region", "eu"], "eu", 7],
  [["--region=eu=x", "--body-max-bytes", "9"], "eu=x", 9],
])("flags are read: %j", (args, region, bytes) => {
  expect(readCommandLine(table, args, nothing)).toEqual({
    kind: "settings",
    settings: { kind: "ok", value: { MERIDIAN_REGION: region, MERIDIAN_BODY_MAX_BYTES: bytes } },
  });
});

test("a flag wins over the environment", () => {
  const read = readCommandLine(table, ["--region", "eu"], () => "8");
  expect(read).toMatchObject({
    settings: { value: { MERIDIAN_REGION: "eu", MERIDIAN_BODY_MAX_BYTES: 8 } },
  });
});

test("unknown flags, flags without value and bad settings are told together", () => {
  const read = readCommandLine(table, ["--regoin", "--body-max-bytes=100", "--region"], nothing);
  const problems =
    read.kind === "settings" && read.settings.kind === "err" ? read.settings.error : [];
  expect(problems.map((each) => `${each.code} ${each.path}`)).toEqual([
    "flag_unknown --regoin",
    "flag_empty --region",
    "setting_missing MERIDIAN_REGION",
    "setting_invalid MERIDIAN_BODY_MAX_BYTES",
  ]);
});

test("help names every setting with flag and default", () => {
  expect(readCommandLine(table, ["--region", "eu", "--help"], nothing)).toEqual({ kind: "help" });
  const help = formatHelp("a program", table);
  expect(help).toContain("--region (MERIDIAN_REGION)");
  expect(help).toMatch(/--body-max-bytes \(MERIDIAN_BODY_MAX_BYTES\) +bytes; default 7/);
});
