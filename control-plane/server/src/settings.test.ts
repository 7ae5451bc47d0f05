import { expect, test } from "vitest";
import { readControlSettings } from "./settings.ts";

const complete = {
  MERIDIAN_REGION: "eu-west",
  MERIDIAN_LISTEN: "127.0.0.1:7443",
  MERIDIAN_OPS_LISTEN: "127.0.0.1:7480",
  MERIDIAN_STORE: "embedded:data",
  MERIDIAN_TLS_DIR: "pki/control-eu-west",
};

test("what is not said follows from the region", () => {
  const read = readControlSettings([], complete);
  expect(read).toMatchObject({
    kind: "settings",
    settings: { id: "control-eu-west", servesRegions: ["eu-west"], advertise: undefined },
  });
});

test("a flag wins over the environment", () => {
  const read = readControlSettings(["--id", "other", "--serves-regions", "a,b,a"], complete);
  expect(read).toMatchObject({ settings: { id: "other", servesRegions: ["a", "b"] } });
});

test("everything that is wrong is told at once, with code 2", () => {
  const read = readControlSettings(["--nonsense", "x"], {
    MERIDIAN_LISTEN: "nowhere",
    MERIDIAN_OPS_LISTEN: "127.0.0.1:0",
  });
  const text = read.kind === "exit" ? read.text : "";
  expect(read).toMatchObject({ kind: "exit", code: 2 });
  for (const name of ["--nonsense", "MERIDIAN_REGION", "MERIDIAN_LISTEN", "MERIDIAN_STORE"]) {
    expect(text).toContain(name);
  }
});

test.each([
  ["MERIDIAN_REGION", "EU west"],
  ["MERIDIAN_SERVES_REGIONS", "eu,../x"],
  ["MERIDIAN_ID", "a b"],
  ["MERIDIAN_ADVERTISE", "no-port"],
  ["MERIDIAN_LOG_LEVEL", "loud"],
])("%s refuses %s", (name, value) => {
  const read = readControlSettings([], { ...complete, [name]: value });
  expect(read.kind === "exit" && read.text).toContain(name);
});

test("--help names every setting", () => {
  const read = readControlSettings(["--help"], {});
  expect(read).toMatchObject({ kind: "exit", code: 0 });
  expect(read.kind === "exit" && read.text).toContain("--serves-regions (MERIDIAN_SERVES_REGIONS)");
});
