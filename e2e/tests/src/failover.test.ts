// Parts are killed while requests go on: what clients see of it, which is as little as can be.

import { type Cluster, type Program, startCluster } from "@meridian/harness";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  askMany,
  askOnce,
  client,
  endpointOf,
  messages,
  regionsOf,
  showLogsOfFailures,
} from "./client.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

/**
 * Everything that a test killed runs again before the next one. A region whose backends were all killed may need most of a
 * minute before they have proved themselves: each test kills those of a region that the ones before it left alone.
 */
afterEach(() => startAll(cluster.programs()));

async function killAll(programs: readonly Program[]): Promise<void> {
  await Promise.all(programs.map((each) => each.kill()));
}

async function startAll(programs: readonly Program[]): Promise<void> {
  await Promise.all(programs.filter((each) => !each.isRunning()).map((each) => each.start()));
}

test("one backend is killed: no request fails, the region goes on", async () => {
  const [victim] = cluster.region("us-east").backends;
  await victim?.kill();
  const served = await askMany(endpointOf(cluster, "us-east"), 30);
  expect(new Set(served.map((each) => each.backend))).toEqual(new Set(["us-east-b"]));
});

test("a proxy is killed: its clients are answered by the next region's", async () => {
  await killAll(cluster.region("us-east").proxies);
  await expect(askOnce(endpointOf(cluster, "us-east"))).rejects.toBeInstanceOf(
    OpenAI.APIConnectionError,
  );
  expect((await askOnce(endpointOf(cluster, "eu-west"))).region).toBe("eu-west");
});

test("every control plane is killed: all regions serve on, failover included", async () => {
  await killAll(cluster.controlPlanes);
  for (const region of cluster.regions) {
    expect((await askOnce(endpointOf(cluster, region.name))).region).toBe(region.name);
  }
  await killAll(cluster.region("us-east").backends);
  const served = await askMany(endpointOf(cluster, "us-east"), 10);
  expect(regionsOf(served)).not.toContain("us-east");
});

test("a proxy that starts while no control plane exists serves from its last good file", async () => {
  await killAll(cluster.controlPlanes);
  const [proxy] = cluster.region("ap-south").proxies;
  await proxy?.kill();
  await proxy?.start();
  expect((await askOnce(endpointOf(cluster, "ap-south"))).region).toBe("ap-south");
  await killAll(cluster.region("ap-south").backends);
  const served = await askMany(endpointOf(cluster, "ap-south"), 5);
  expect(regionsOf(served)).not.toContain("ap-south");
});

test("a proxy that is told to stop lets its live streams end", async () => {
  const [proxy] = cluster.region("ap-south").proxies;
  const stream = await client(endpointOf(cluster, "ap-south")).chat.completions.create({
    model: "sim-large",
    messages: [...messages],
    stream: true,
    max_tokens: 200,
    ...{ ignore_eos: true },
  });
  let stopped: Promise<void> | undefined;
  let finish: string | null | undefined;
  for await (const chunk of stream) {
    stopped ??= proxy?.stop();
    finish = chunk.choices[0]?.finish_reason ?? finish;
  }
  await stopped;
  expect(finish).toBe("length");
  expect(proxy?.isRunning()).toBe(false);
});

test("a backend dies in mid-stream: the client is told, the stream does not look complete", async () => {
  const region = cluster.region("eu-west");
  const { data: stream, response } = await client(endpointOf(cluster, "eu-west"))
    .chat.completions.create({
      model: "sim-large",
      messages: [...messages],
      stream: true,
      max_tokens: 5_000,
      // Not in OpenAI's schema: the simulated backend goes on to the limit.
      ...{ ignore_eos: true },
    })
    .withResponse();
  const backend = response.headers.get("x-meridian-backend");
  const victim = region.backends.find((each) => each.name === backend);
  expect(victim).toBeDefined();
  let finish: string | null | undefined;
  let chunks = 0;
  const reading = (async () => {
    for await (const chunk of stream) {
      chunks += 1;
      if (chunks === 10) await victim?.kill();
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
  })();
  await expect(reading).rejects.toBeInstanceOf(Error);
  expect(chunks).toBeGreaterThanOrEqual(10);
  expect(finish ?? undefined).toBeUndefined();
});

test("all backends of a region are killed: the next requests are answered elsewhere, and it is said where", async () => {
  const endpoint = endpointOf(cluster, "us-east");
  const proved = { timeout: 100_000, interval: 1_000 };
  await expect.poll(async () => (await askOnce(endpoint)).region, proved).toBe("us-east");
  await killAll(cluster.region("us-east").backends);
  const served = await askMany(endpoint, 30);
  expect(served).toHaveLength(30);
  for (const each of served) {
    expect(["eu-west", "ap-south"]).toContain(each.region);
    expect(each.backend).toMatch(/^(eu-west|ap-south)-[ab]$/);
    expect(each.text).not.toBe("");
  }
  const stream = await client(endpoint).chat.completions.create({
    model: "default",
    messages: [...messages],
    stream: true,
  });
  let finish: string | null | undefined;
  for await (const chunk of stream) finish = chunk.choices[0]?.finish_reason ?? finish;
  expect(finish).toBe("stop");
});
