// The records of requests, from the fleet by `meridian explain`, from one proxy by its operations port, from its disk after
// a restart; and what must never be in them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, localKey, startCluster } from "@meridian/harness";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpointOf, showLogsOfFailures } from "./client.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

const region = "eu-west";
const soon = { timeout: 15_000, interval: 100 };
const prompt = "ATTACK-AT-DAWN";

/** Asks with the marked prompt, reads the answer whatever becomes of it, and gives its decision's id. */
async function ask(more: object = {}): Promise<{ readonly id: string; readonly text: string }> {
  const answer = await fetch(`${endpointOf(cluster, region)}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${localKey}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: "sim-small",
      messages: [{ role: "user", content: prompt }],
      ...more,
    }),
  });
  const text = await answer.text().catch(() => "");
  return {
    id: answer.headers.get("x-meridian-decision") ?? "",
    text,
  };
}

function explain(...args: readonly string[]) {
  return cluster.meridian("explain", ...args);
}

function ops(): string {
  const plan = cluster.topology.regions.find((each) => each.name === region);
  return `http://127.0.0.1:${plan?.proxies[0]?.opsPort}`;
}

/** Switches a fault on at the region's backends. */
async function fault(rule: object): Promise<void> {
  for (const url of cluster.region(region).backendUrls) {
    const answer = await fetch(`${url}/faults`, { method: "POST", body: JSON.stringify(rule) });
    expect(answer.status, await answer.text()).toBe(200);
  }
}

async function noFaults(): Promise<void> {
  for (const url of cluster.region(region).backendUrls) {
    await fetch(`${url}/faults`, { method: "DELETE" });
  }
}

test("a request is explained by its id, the fleet's way and the proxy's own way alike", async () => {
  const { id } = await ask();
  // Each proxy's lane for questions has to be open first.
  await expect.poll(() => explain(id), soon).toMatchObject({ code: 0, stderr: "" });
  const fleet = await explain(id);
  expect(fleet.stderr).toBe("");
  for (const part of [`${id}: answered (200) by its own region`, "1 first eu-west-", "because"]) {
    expect(fleet.stdout).toContain(part);
  }
  const one = await explain(id, "--ops", ops());
  expect(one).toMatchObject({ code: 0, stdout: fleet.stdout, stderr: "" });
  const latest = await (await fetch(`${ops()}/decisions?limit=1`)).json();
  expect(latest).toMatchObject({ decisions: [{ id, ending: "complete", status: 200 }] });
});

test("a stream that broke keeps its record across a restart of the proxy, one that was plain does not", async () => {
  const plain = await ask();
  await fault({ kind: "error-at-token", token: 3 });
  const broken = await ask({ stream: true });
  await noFaults();
  expect(broken.text).not.toContain("[DONE]");
  expect((await explain(broken.id, "--ops", ops())).stdout).toContain("broke in mid-answer");
  const [proxy] = cluster.region(region).proxies;
  await proxy?.stop();
  await proxy?.start();
  expect((await explain(broken.id, "--ops", ops())).stdout).toContain("broke in mid-answer");
  const gone = await explain(plain.id, "--ops", ops());
  expect(gone.code).toBe(1);
  expect(gone.stderr).toContain(`no record of ${plain.id} at 1 proxy`);
});

test("what nobody remembers exits with 1, and says how far back the proxies remember", async () => {
  await ask();
  const asked = async () => (await explain("dec_nobody")).stderr;
  await expect
    .poll(asked, soon)
    .toMatch(/at 3 proxies: it is too old[\s\S]*remembers requests since/);
  expect((await explain("dec_nobody")).code).toBe(1);
});

test("the operations port refuses what is no id, and limits that are none", async () => {
  const status = async (path: string) => (await fetch(`${ops()}${path}`)).status;
  expect(await status("/decisions/dec_nobody")).toBe(404);
  expect(await status("/decisions/a%20b")).toBe(404);
  expect(await status("/decisions/")).toBe(404);
  for (const limit of ["0", "-1", "x", "1e9", ""]) {
    expect(await status(`/decisions?limit=${limit}`)).toBe(400);
  }
});

test("no prompt, key or answer is in a record, on an operations port, or in any file", async () => {
  await fault({ kind: "error-body" });
  const failed = await ask({ stream: true });
  await noFaults();
  const plain = await ask();
  const answered = JSON.parse(plain.text).choices[0].message.content;
  expect(answered.length).toBeGreaterThan(20);
  const [proxy] = cluster.region(region).proxies;
  const pages = [
    await (await fetch(`${ops()}/decisions?limit=1000`)).text(),
    await (await fetch(`${ops()}/decisions/${failed.id}`)).text(),
    (await explain(plain.id, "-o", "json")).stdout,
  ];
  await proxy?.stop();
  await proxy?.start();
  const files = readdirSync(cluster.dataDir, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
  expect(files.some((each) => each.includes(join("decisions", "main.jsonl")))).toBe(true);
  const kept = files
    .filter((each) => /\/(proxy|logs)\//.test(each))
    .map((each) => readFileSync(each, "latin1"));
  for (const text of [...pages, ...kept]) {
    for (const secret of [prompt, localKey, answered.slice(0, 40)]) {
      expect(text.includes(secret), `${secret} in ${text.slice(0, 200)}`).toBe(false);
    }
  }
});
