// What operators do with the command `meridian`: drain, apply; and what must be refused.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, type PolicyDocument, startCluster } from "@meridian/harness";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { askMany, askOnce, endpointOf, regionsOf, showLogsOfFailures } from "./client.ts";

let cluster: Cluster;
const folder = mkdtempSync(join(tmpdir(), "meridian-policies-"));
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});
showLogsOfFailures(() => cluster);

/** Waits until a change has reached the proxies. */
const soon = { timeout: 15_000, interval: 100 };

async function meridian(...args: readonly string[]): Promise<string> {
  const done = await cluster.meridian(...args);
  expect(done, done.stderr).toMatchObject({ code: 0 });
  return done.stdout;
}

test("status shows regions, proxies with the policy that they run, and backends", async () => {
  const text = await meridian("status");
  for (const part of ["us-east", "eu-west", "ap-south", "proxy-us-east-1", "ap-south-b"]) {
    expect(text).toContain(part);
  }
  await expect
    .poll(async () => {
      const { regions, proxies } = JSON.parse(await meridian("status", "-o", "json"));
      return { proxies: proxies?.length, states: regions?.map(stateOf) };
    }, soon)
    .toEqual({ proxies: 3, states: ["ready", "ready", "ready"] });
});

function stateOf({ state }: { readonly state?: string }): string | undefined {
  return state;
}

test("status shows what each region's own clients ask of each model", async () => {
  await askMany(endpointOf(cluster, "us-east"), 20);
  type Pool = { region: string; model: string; demandTokens?: number };
  const asked = async () => {
    const { pools } = JSON.parse(await meridian("status", "-o", "json"));
    return (pools as readonly Pool[]).filter((each) => (each.demandTokens ?? 0) > 0);
  };
  await expect.poll(asked, soon).toMatchObject([{ region: "us-east", model: "sim-small" }]);
  // Nothing is declared, and nobody was at a limit.
  expect(await meridian("status")).toMatch(/sim-small +us-east +2\/2 +not known/);
});

test("a drained region's clients are answered by others, and by itself again afterwards", async () => {
  const endpoint = endpointOf(cluster, "us-east");
  await meridian("drain", "region", "us-east", "--for", "5m", "--reason", "test");
  await expect
    .poll(async () => regionsOf(await askMany(endpoint, 5)), soon)
    .not.toContain("us-east");
  await meridian("undrain", "region", "us-east");
  await expect.poll(async () => regionsOf(await askMany(endpoint, 5)), soon).toEqual(["us-east"]);
});

test("a drained backend gets no new requests", async () => {
  const endpoint = endpointOf(cluster, "eu-west");
  await meridian("drain", "backend", "eu-west-a", "--for", "5m", "--reason", "test");
  await expect
    .poll(async () => new Set((await askMany(endpoint, 10)).map((each) => each.backend)), soon)
    .toEqual(new Set(["eu-west-b"]));
  await meridian("undrain", "backend", "eu-west-a");
});

test("an applied policy reaches every region, and its version is in the headers", async () => {
  const policy: PolicyDocument = {
    ...cluster.policy,
    models: cluster.policy.models.map((each) =>
      each.name === "sim-large" ? { ...each, aliases: ["big"] } : each,
    ),
  };
  const applied = await cluster.apply(policy);
  expect(applied.code).toBe(0);
  for (const region of cluster.regions) {
    const endpoint = endpointOf(cluster, region.name);
    await expect.poll(() => modelStatus(endpoint, "big"), soon).toBe(200);
  }
});

async function modelStatus(endpoint: string, model: string): Promise<number> {
  const answer = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer local-key", "content-type": "application/json" },
    body: JSON.stringify({ model, max_tokens: 1, messages: [{ role: "user", content: "x" }] }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

describe("a bad policy is refused with all its problems, and nothing changes", () => {
  const bad: readonly {
    readonly what: string;
    readonly text: () => string;
    readonly shows: readonly RegExp[];
  }[] = [
    { what: "broken YAML", text: () => "regions: [\n  - name: {", shows: [/YAML|yaml/] },
    { what: "an empty document", text: () => "", shows: [/empty|region/i] },
    { what: "a document of comments", text: () => "# nothing\n", shows: [/empty|region/i] },
    {
      what: "an unknown field",
      text: () => stringify({ ...cluster.policy, regoins: [] }),
      shows: [/regoins/],
    },
    {
      what: "a dangling name",
      text: () =>
        stringify({
          ...cluster.policy,
          backends: cluster.policy.backends.map((each) => ({ ...each, region: "atlantis" })),
        }),
      shows: [/atlantis/, /backends\[0\]/, /backends\[5\]/],
    },
    {
      what: "a model without backends",
      text: () =>
        stringify({ ...cluster.policy, models: [...cluster.policy.models, { name: "orphan" }] }),
      shows: [/orphan/],
    },
    {
      what: "10 MiB",
      text: () => `${stringify(cluster.policy)}\n# ${"x".repeat(10 * 1024 * 1024)}\n`,
      shows: [/MiB|bytes|large/],
    },
    {
      what: "several mistakes of form",
      text: () =>
        stringify({
          ...cluster.policy,
          extra: 1,
          routes: [{ name: "r", retry: { attempts: "many" } }, { nmae: "s" }],
        }),
      shows: [/extra/, /routes\[0\]\.retry\.attempts/, /nmae/],
    },
    {
      what: "several mistakes of meaning",
      text: () =>
        stringify({
          ...cluster.policy,
          regions: [...cluster.policy.regions, { name: "Not A Name" }],
          models: [...cluster.policy.models, { name: "orphan" }],
          routes: [{ name: "r", targets: [{ model: "nobody" }] }],
        }),
      shows: [/Not A Name/, /orphan/, /nobody/],
    },
  ];

  test.each(bad)("$what", async ({ what, text, shows }) => {
    const file = join(folder, `${what.replaceAll(" ", "-")}.yaml`);
    writeFileSync(file, text());
    const before = await meridian("get", "-o", "json");
    const refused = await cluster.meridian("apply", "-f", file);
    expect(refused.code).not.toBe(0);
    const said = refused.stdout + refused.stderr;
    for (const each of shows) expect(said).toMatch(each);
    expect(said).not.toMatch(/\n\s+at .*:\d+:\d+/);
    expect(await meridian("get", "-o", "json")).toBe(before);
    expect((await askOnce(endpointOf(cluster, "us-east"))).region).toBe("us-east");
  });
});

test("an operator without a certificate of the authority is not let in", async () => {
  const done = await cluster.meridian("status", "--tls-dir", folder);
  expect(done.code).not.toBe(0);
});
