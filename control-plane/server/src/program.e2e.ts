import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entries, repositoryRoot, runCommand } from "@meridian/harness";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Rig } from "./test-rig.ts";

let rig: Rig;
let folder: string;

beforeAll(async () => {
  rig = await Rig.start();
  folder = mkdtempSync(join(tmpdir(), "meridian-start-"));
});
afterAll(async () => {
  await rig?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function environment(more: { readonly [name: string]: string } = {}) {
  return {
    MERIDIAN_REGION: "eu-west",
    MERIDIAN_LISTEN: "127.0.0.1:0",
    MERIDIAN_OPS_LISTEN: "127.0.0.1:0",
    MERIDIAN_STORE: `embedded:${join(folder, "store")}`,
    MERIDIAN_TLS_DIR: rig.tls("control-eu-west"),
    ...more,
  };
}

const run = (more: { readonly [name: string]: string }, args: readonly string[] = []) =>
  runCommand({ entry: entries.controlPlane, args, environment: environment(more) });

/** Ordinary lines; the log's are JSON. */
const plain = (text: string) => text.split("\n").filter((each) => each !== "" && each[0] !== "{");

test("--help lists the settings and ends with 0", async () => {
  const { code, stdout } = await run({}, ["--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("--tls-dir (MERIDIAN_TLS_DIR)");
});

test("wrong settings are told with code 2", async () => {
  const { code, stderr } = await run({ MERIDIAN_REGION: "NO", MERIDIAN_LISTEN: "x" });
  expect(code).toBe(2);
  expect(stderr).toContain("MERIDIAN_LISTEN");
});

test.each([
  ["another region's certificate", "control-us-east", "tls_wrong_identity"],
  ["a proxy's certificate", "proxy-eu-west", "tls_wrong_identity"],
  ["no certificate", "nowhere", "tls_unreadable"],
])("%s is refused with code 2", async (_, part, problem) => {
  const { code, stderr } = await run({ MERIDIAN_TLS_DIR: rig.tls(part) });
  expect(code).toBe(2);
  expect(stderr).toContain(problem);
});

test.each(["MERIDIAN_LISTEN", "MERIDIAN_OPS_LISTEN"])(
  "a taken port is told in one line with code 3: %s",
  async (name) => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const bound = other.address();
    const port = typeof bound === "object" ? bound?.port : 0;
    const { code, stderr } = await run({ [name]: `127.0.0.1:${port}` });
    other.close();
    expect(code).toBe(3);
    expect(plain(stderr)).toEqual([
      `${name}: the port 127.0.0.1:${port} is taken; stop the program that has it, or name another`,
    ]);
  },
);

test("a store in use is told with code 3", async () => {
  const { code, stderr } = await run({ MERIDIAN_STORE: `embedded:${join(rig.folder, "store")}` });
  expect(code).toBe(3);
  expect(plain(stderr).join()).toContain("store_in_use");
});

test("it ends when the parent that started it goes away", async () => {
  const child = spawn(process.execPath, [join(repositoryRoot, entries.controlPlane)], {
    env: { ...process.env, ...environment() },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const isListening = new Promise<void>((resolve) => {
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (text.includes('"msg":"ready"')) resolve();
    });
  });
  await isListening;
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.disconnect();
  expect(await exited).toBe(0);
});
