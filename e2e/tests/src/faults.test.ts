// Backends that fail in every way that a stream can: before the first token nobody notices, after it everybody is told.

import { type Cluster, startCluster } from "@meridian/harness";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { askOnce, client, endpointOf, messages, showLogsOfFailures } from "./client.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

const region = "us-east";
const body = { model: "sim-small", messages: [...messages] };

async function switchFaults(method: "POST" | "DELETE", fault?: object): Promise<void> {
  for (const url of cluster.region(region).backendUrls) {
    const answer = await fetch(`${url}/faults`, { method, body: JSON.stringify(fault) ?? null });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
  }
}

/** What is ejected after a test's faults comes back before the next one, or that would not meet its own. */
beforeEach(async () => {
  const home = async () => (await askOnce(endpointOf(cluster, region))).region;
  await expect.poll(home, { timeout: 30_000, interval: 50 }).toBe(region);
});

afterEach(async () => {
  const faults = await Promise.all(cluster.region(region).backendUrls.map(faultsMet));
  await switchFaults("DELETE");
  expect(faults.flat().some((met) => met > 0)).toBe(true);
});

async function faultsMet(url: string): Promise<readonly number[]> {
  // The simulator's own answer.
  const { faults } = (await (await fetch(`${url}/faults`)).json()) as {
    faults: readonly { met: number }[];
  };
  return faults.map((each) => each.met);
}

/** The streamed text, only if the stream came to its proper end. */
async function streamed(): Promise<string> {
  const stream = await client(endpointOf(cluster, region)).chat.completions.create({
    ...body,
    stream: true,
  });
  let text = "";
  let finish: string | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
  }
  expect(finish).toBe("stop");
  return text;
}

async function whole(): Promise<string> {
  const answer = await client(endpointOf(cluster, region)).chat.completions.create(body);
  return answer.choices[0]?.message.content ?? "";
}

async function expected(): Promise<string> {
  const direct = client(cluster.region("eu-west").backendUrls[0] ?? "");
  return (await direct.chat.completions.create(body)).choices[0]?.message.content ?? "";
}

const beforeFirstToken = [
  { kind: "status", status: 500 },
  { kind: "status", status: 503 },
  { kind: "status", status: 429, retryAfterSeconds: 1 },
  { kind: "status", status: 404 },
  { kind: "status", status: 401 },
  { kind: "reset-before-headers" },
  { kind: "reset-after-headers" },
  { kind: "wrong-content-type" },
  { kind: "error-body" },
] as const;

describe("every backend of the region fails before the first token", () => {
  test.each(beforeFirstToken)("%j: the answer comes from elsewhere, whole", async (fault) => {
    await switchFaults("POST", fault);
    expect(await whole()).toBe(await expected());
  });

  test.each([
    ...beforeFirstToken,
    { kind: "empty-stream" },
    { kind: "reset-at-token", token: 0 },
    { kind: "end-at-token", token: 0 },
    { kind: "error-at-token", token: 0 },
    { kind: "malformed-at-token", token: 0 },
  ])("%j: the stream comes from elsewhere, whole", async (fault) => {
    await switchFaults("POST", fault);
    expect(await streamed()).toBe(await expected());
  });
});

describe("the backend fails after the first token", () => {
  test.each(["reset-at-token", "end-at-token", "error-at-token", "malformed-at-token"])(
    "%s: the client gets an error, and no stream that looks complete",
    async (kind) => {
      await switchFaults("POST", { kind, token: 5 });
      await expect(streamed()).rejects.toBeInstanceOf(OpenAI.APIError);
    },
  );
});

test("a model server that is slow is slow, and nothing worse", async () => {
  await switchFaults("POST", { kind: "slow", factor: 5 });
  expect(await streamed()).toBe(await expected());
});
