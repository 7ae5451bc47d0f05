import { expect, test } from "vitest";
import { readProxySettings, settingsTable } from "./settings.ts";

const complete = {
  MERIDIAN_REGION: "eu-west",
  MERIDIAN_LISTEN: "127.0.0.1:8080",
  MERIDIAN_PEER_LISTEN: "127.0.0.1:8443",
  MERIDIAN_OPS_LISTEN: "127.0.0.1:9090",
  MERIDIAN_DATA_DIR: "data",
  MERIDIAN_TLS_DIR: "tls",
};

test("a proxy needs little more than its region, three addresses and two folders", () => {
  const read = readProxySettings([], complete);
  expect(read).toMatchObject({
    settings: {
      id: "proxy-eu-west-8080",
      controls: [],
      drainMs: 600_000,
      bodyBytesMax: 33_554_432,
    },
  });
});

test("everything that is wrong is told at once, with exit code 2", () => {
  const read = readProxySettings(["--peer-listen=nowhere"], { MERIDIAN_DRAIN_MS: "soon" });
  expect(read).toMatchObject({ kind: "exit", code: 2 });
  const text = read.kind === "exit" ? read.text : "";
  for (const name of ["REGION", "LISTEN", "PEER_LISTEN", "OPS_LISTEN", "DATA_DIR", "DRAIN_MS"]) {
    expect(text).toContain(`MERIDIAN_${name}:`);
  }
});

test.each([
  ["--control", "a:1,b"],
  ["--siblings", "c"],
  ["--peer-via", "127.0.0.1:1"],
  ["--log-level", "loud"],
])("%s %s is refused", (flag, value) => {
  expect(readProxySettings([flag, value], complete)).toMatchObject({ kind: "exit", code: 2 });
});

test("ways to peers are read", () => {
  const read = readProxySettings(["--peer-via", "h:1=i:2,j:3=k:4"], complete);
  expect(read.kind === "settings" && [...read.settings.peerVia]).toEqual([
    ["h:1", "i:2"],
    ["j:3", "k:4"],
  ]);
});

test("help names every setting and exits with 0", () => {
  const read = readProxySettings(["--help"], {});
  expect(read).toMatchObject({ kind: "exit", code: 0 });
  for (const name of Object.keys(settingsTable)) {
    expect(read.kind === "exit" && read.text).toContain(name);
  }
});
