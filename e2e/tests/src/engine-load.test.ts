// What a proxy knows of its model servers, with real ones: their queues keep it away, their caches draw it near.

import { type Cluster, startCluster } from "@meridian/harness";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { client, endpointOf, showLogsOfFailures } from "./client.ts";
import { opsOf, readMetric } from "./metric-reading.ts";

const region = "eu-west";
const model = "sim-large";
let cluster: Cluster;
beforeAll(async () => {
  const routes = [{ name: "all", match: { models: ["*"] }, balance: "cache-aware" }];
  cluster = await startCluster({
    regions: [region],
    backendsPerRegion: 3,
    policy: (given) => ({ ...given, routes }),
  });
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

type Message = { readonly role: "user" | "assistant"; readonly content: string };

/** The answer, and the backend that gave it. */
async function ask(messages: readonly Message[]): Promise<{ text: string; backend: string }> {
  const { data, response } = await client(endpointOf(cluster, region))
    .chat.completions.create({ model, messages: [...messages], max_tokens: 20 })
    .withResponse();
  const backend = response.headers.get("x-meridian-backend") ?? "";
  return { text: data.choices[0]?.message.content ?? "", backend };
}

async function backendsOf(questions: number): Promise<ReadonlySet<string>> {
  const asked = Array.from({ length: questions }, (_, each) =>
    ask([{ role: "user", content: `Question ${each}?` }]),
  );
  return new Set((await Promise.all(asked)).map((each) => each.backend));
}

const crowdSize = 100;

/** Keeps a server busy from elsewhere, with more than it can work on at once, until the crowd is told to leave. */
async function crowd(url: string): Promise<() => Promise<void>> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const post = (path: string, body: object) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  // The crowd's own requests alone are so slow.
  await post("/faults", { kind: "slow", factor: 1_000, count: crowdSize });
  const messages = [{ role: "user", content: "Tell a long story." }];
  const readers = Array.from({ length: crowdSize }, () =>
    post("/v1/chat/completions", { model, messages }),
  );
  return async () => {
    leaving.abort();
    await Promise.allSettled(readers);
  };
}

const wait = { timeout: 60_000, interval: 100 };

test("a server with a queue of its own gets nothing while others have none", async () => {
  const [first] = cluster.region(region).backends;
  const [url = ""] = cluster.region(region).backendUrls;
  const waiting = () =>
    readMetric(
      opsOf(cluster, region),
      `meridian_engine_requests_waiting{backend="${first?.name}"}`,
    );
  await vi.waitFor(async () => expect(await waiting()).toBe(0), wait);
  expect((await backendsOf(16)).size).toBe(3);

  const leave = await crowd(url);
  await vi.waitFor(async () => expect(await waiting()).toBeGreaterThan(0), wait);
  await vi.waitFor(async () => expect(await backendsOf(16)).not.toContain(first?.name), wait);
  await leave();
  await vi.waitFor(async () => expect(await backendsOf(16)).toContain(first?.name), wait);
});

test("cache-aware: turns of a conversation go where the ones before them went", async () => {
  const sums = async () => {
    const urls = cluster.region(region).backendUrls;
    const read = (name: string) => async (url: string) =>
      (await readMetric(url, `vllm:${name}{model_name="${model}"}`)) ?? 0;
    const queries = await Promise.all(urls.map(read("prefix_cache_queries_total")));
    const hits = await Promise.all(urls.map(read("prefix_cache_hits_total")));
    return { queries: sum(queries), hits: sum(hits) };
  };
  const before = await sums();
  let stayed = 0;
  await Promise.all(
    Array.from({ length: 8 }, async (_, conversation) => {
      const messages: Message[] = [];
      const backends = new Set<string>();
      for (let turn = 0; turn < 6; turn++) {
        const content = `Conversation ${conversation}, turn ${turn}: `.padEnd(
          3_000,
          `word ${conversation} `,
        );
        messages.push({ role: "user", content });
        const { text, backend } = await ask(messages);
        messages.push({ role: "assistant", content: text });
        backends.add(backend);
      }
      if (backends.size === 1) stayed += 1;
    }),
  );
  const after = await sums();
  const share = (after.hits - before.hits) / (after.queries - before.queries);
  console.log(
    `prefix hits: ${(100 * share).toFixed(0)} %, conversations on one backend: ${stayed} of 8`,
  );
  // Six turns that miss nothing but their own message would be 71 %; taking turns between servers it is about 40 %.
  expect(share).toBeGreaterThan(0.5);
});

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
