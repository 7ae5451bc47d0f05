// Regions at their distances, one of them with half the model servers of the others: what is more than it can do is answered
// elsewhere, and nothing else is. `npm run bench:spill` measures the same at length.

import { type Cluster, localKey, type PolicyDocument, startCluster } from "@meridian/harness";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { endpointOf, showLogsOfFailures } from "./client.ts";

const hot = "us-east";
/** Batches of four, 100 ms a step, ten steps a request: about four requests a second. */
const slots = 4;
const perSecond = 4;
const outputTokens = 10;
const tokensPerRequest = 30;

let cluster: Cluster;
beforeAll(async () => {
  const models = [`main:0.1:100:0:${slots}`];
  cluster = await startCluster({ delayed: true, speed: 1, models, policy });
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

function policy(given: PolicyDocument): PolicyDocument {
  const tokensPerMinute = perSecond * tokensPerRequest * 60;
  const backends = given.backends
    .filter((each) => each.name !== `${hot}-b`)
    .map((each) => ({
      ...each,
      serves: [{ model: "main" }],
      capacity: { concurrency: slots, tokensPerMinute },
    }));
  const objective = { firstTokenMs: 2_000 };
  const routes = [{ name: "all", match: { models: ["*"] }, objective }];
  return { ...given, backends, models: [{ name: "main" }], routes };
}

/** The region that answered a stream to its end; else what was wrong. */
async function ask(region: string): Promise<string> {
  const answer = await fetch(`${endpointOf(cluster, region)}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${localKey}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: "main",
      stream: true,
      max_tokens: outputTokens,
      ignore_eos: true,
      messages: [
        { role: "user", content: "Which way is it to the sea from here, and how far, please?" },
      ],
    }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await answer.text();
  const isWhole = answer.status === 200 && text.includes("[DONE]");
  return isWhole ? String(answer.headers.get("x-meridian-region")) : `${answer.status} ${text}`;
}

/** The shares of its demand that the region may send away, as the control plane counts. */
async function outflow(): Promise<number> {
  const ops = `http://127.0.0.1:${cluster.topology.controlPlanes[0]?.opsPort}/metrics`;
  const lines = (await (await fetch(ops)).text()).split("\n");
  return lines
    .filter((line) => line.startsWith("meridian_control_outflow_share{"))
    .filter((line) => line.includes(`region="${hot}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

test("a region at half of what it can do keeps all of its requests", async () => {
  const answers: string[] = [];
  const client = async () => {
    for (let each = 0; each < 6; each++) answers.push(await ask(hot));
  };
  await Promise.all(Array.from({ length: slots / 2 }, client));
  expect(answers).toEqual(answers.map(() => hot));
  expect(await outflow()).toBe(0);
});

test("a region at three times what it can do sends away what it can't, and no request fails", async () => {
  const pending: Promise<string>[] = [];
  const load = setInterval(() => pending.push(ask(hot)), 1_000 / (3 * perSecond));
  try {
    // The region table has seen it, and enough has come since.
    await vi.waitFor(async () => expect(await outflow()).toBeGreaterThan(0.5), 60_000);
    const known = pending.length;
    await vi.waitFor(() => expect(pending.length).toBeGreaterThan(known + 40), 60_000);
  } finally {
    clearInterval(load);
  }
  const answers = await Promise.all(pending);
  const regions = new Set(answers);
  for (const each of regions) expect(cluster.regions.map(({ name }) => name)).toContain(each);
  const kept = answers.filter((each) => each === hot).length / answers.length;
  // A third is what it can do; before the table knows, less leaves than should.
  expect(kept).toBeGreaterThan(0.15);
  expect(kept).toBeLessThan(0.7);
  console.log(`kept ${Math.round(100 * kept)} % of ${answers.length} at three times its capacity`);
});
