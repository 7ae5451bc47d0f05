// The README's commands, run as they are printed; only the ports and the folder for data are this test's own, so that
// somebody's own `npm start` is not in the way.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot } from "@meridian/harness";
import { afterAll, beforeAll, expect, test } from "vitest";
import { interrupt, type Launched, launch, untilReady } from "./launched.ts";

/** Ports that neither clusters on free ports nor the test of `npm start` take: 200 for each process. */
const basePort = 15_000 + (process.pid % 24) * 200;
const folder = mkdtempSync(join(tmpdir(), "meridian-readme-"));
const readme = readFileSync(join(repositoryRoot, "README.md"), "utf8");
const control = { MERIDIAN_SERVER: `127.0.0.1:${basePort + 30}`, MERIDIAN_TLS_DIR: "" };
let running: Launched | undefined;

/** The commands of all blocks in one language, with this test's ports. */
function blocks(language: string): readonly string[] {
  const form = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm");
  return [...readme.matchAll(form)].map((found) =>
    (found[1] ?? "").replaceAll(/\b880([1-3])\b/g, (_, digit) =>
      String(basePort + Number(digit) - 1),
    ),
  );
}

function block(start: string): string {
  const found = blocks("sh").find((each) => each.startsWith(start));
  expect(found, `a block that starts with ${start}`).toBeDefined();
  return found ?? "";
}

/** Runs a block as a person at the repository's root would. */
function shell(commands: string): string {
  const done = spawnSync(
    "sh",
    ["-ec", commands.replaceAll("policy.yaml", `${folder}/policy.yaml`)],
    {
      cwd: repositoryRoot,
      encoding: "utf8",
      env: { ...process.env, ...control },
      timeout: 60_000,
    },
  );
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  return done.stdout;
}

beforeAll(async () => {
  const [start] = blocks("sh");
  expect(start).toBe("npm start\n");
  running = launch(["--port", String(basePort), "--data", folder]);
  await untilReady(running);
  control.MERIDIAN_TLS_DIR = /export MERIDIAN_TLS_DIR=(\S+)/.exec(running.output())?.[1] ?? "";
});

afterAll(async () => {
  if (running !== undefined) await interrupt(running);
  rmSync(folder, { recursive: true, force: true });
});

test("the curl streams an answer to its proper end", () => {
  const answer = shell(block("curl"));
  expect(answer).toContain("data: {");
  expect(answer.trimEnd().endsWith("data: [DONE]")).toBe(true);
});

test("the SDK example prints an answer", () => {
  const [code] = blocks("js");
  const done = spawnSync(process.execPath, ["--input-type=module", "--eval", code ?? ""], {
    cwd: join(repositoryRoot, "e2e", "tests"),
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(done.stderr).toBe("");
  expect(done.stdout.split(" ").length).toBeGreaterThan(5);
});

test("status shows the regions, and every proxy with its policy", () => {
  const shown = shell(block("npm run --silent meridian -- status"));
  for (const region of ["us-east", "eu-west", "ap-south"]) expect(shown).toContain(region);
  expect(shown).toMatch(/\b1\.1\b/);
});

test("a region is drained and returned", () => {
  shell(block("npm run --silent meridian -- drain"));
});

test("the policy in force is fetched and applied again", () => {
  shell(block("npm run --silent meridian -- get"));
});

test("npm start serves from a model server that is named", async () => {
  const backend = /openai=(\S+)/.exec(block("npm start -- --backend openai"))?.[1];
  expect(backend).toBe("http://127.0.0.1:8080");
  const { models } = await startWith("--backend", `openai=http://127.0.0.1:${basePort + 50}`);
  expect(models).toContain("sim-large");
});

test("npm start -- --etcd serves three regions from etcd and three control planes", async () => {
  expect(block("npm start -- --etcd")).toBe("npm start -- --etcd\n");
  const { models, output } = await startWith("--etcd");
  expect(models).toContain("sim-large");
  for (const region of ["us-east", "eu-west", "ap-south"]) {
    expect(output).toContain(`control-${region}`);
  }
});

/** A second start beside the first, asked for its models and ended. */
async function startWith(...args: readonly string[]) {
  const data = mkdtempSync(join(tmpdir(), "meridian-readme-second-"));
  const port = basePort + 100;
  const second = launch([...args, "--port", String(port), "--data", data]);
  try {
    await untilReady(second);
    const answer = await fetch(`http://127.0.0.1:${port}/v1/models`, {
      headers: { authorization: "Bearer local-key" },
    });
    expect(answer.status).toBe(200);
    return { models: await answer.text(), output: second.output() };
  } finally {
    await interrupt(second);
    rmSync(data, { recursive: true, force: true });
  }
}

test("every block of commands is one that a test runs", () => {
  const known = [
    /^npm start\n$/,
    /^npm test\n$/,
    /^curl /,
    /^npm run --silent meridian -- (status|drain|get)\b/,
    /^npm start -- --backend /,
    /^npm start -- --etcd\n$/,
  ];
  expect(blocks("sh").filter((each) => !known.some((form) => form.test(each)))).toEqual([]);
});
