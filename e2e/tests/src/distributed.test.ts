// Three control planes on three etcd members, with the distance between regions: what outlives what.

import { type Cluster, startCluster } from "@meridian/harness";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askMany, askOnce, endpointOf, regionsOf, showLogsOfFailures } from "./client.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ store: "etcd", delayed: true });
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

const soon = { timeout: 20_000, interval: 100 };

/** Each region's proxy must answer for a model by this name. */
async function knowEverywhere(alias: string): Promise<void> {
  for (const { name } of cluster.regions) {
    const known = async () => {
      const answer = await fetch(`${endpointOf(cluster, name)}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer local-key", "content-type": "application/json" },
        body: JSON.stringify({
          model: alias,
          max_tokens: 1,
          messages: [{ role: "user", content: "x" }],
        }),
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    await expect.poll(known, soon).toBe(200);
  }
}

function applyAlias(alias: string) {
  const models = cluster.policy.models.map((each) =>
    each.name === "sim-large" ? { ...each, aliases: [alias] } : each,
  );
  return cluster.apply({ ...cluster.policy, models });
}

test("a policy that is applied in one region reaches the proxies of all", async () => {
  expect(await applyAlias("first")).toMatchObject({ code: 0 });
  await knowEverywhere("first");
});

test("an answer from another region pays the way there and has a record in both, one from the own region does not", async () => {
  const far = endpointOf(cluster, "ap-south");
  const timed = async () => {
    const begun = performance.now();
    const { region, decision } = await askOnce(far);
    return { region, ms: performance.now() - begun, decision };
  };
  await Promise.all(cluster.region("ap-south").backends.map((each) => each.kill()));
  await askMany(far, 3);
  const abroad = await timed();
  expect(abroad.region).not.toBe("ap-south");
  expect(abroad.ms).toBeGreaterThan(150);
  const explain = () => cluster.meridian("explain", abroad.decision ?? "", "-o", "json");
  await expect.poll(explain, soon).toMatchObject({ code: 0, stderr: "" });
  const explained = await explain();
  // Each side's proxy follows its own region's control plane, so both had to be asked.
  expect(JSON.parse(explained.stdout).records).toMatchObject([
    { region: "ap-south", answeredBy: abroad.region },
    { region: abroad.region, arrivedFrom: "ap-south", answeredBy: abroad.region },
  ]);
  await Promise.all(cluster.region("ap-south").backends.map((each) => each.start()));
  await expect.poll(async () => (await timed()).region, soon).toBe("ap-south");
});

test("with one etcd member and one control plane gone, policies are applied and reach all", async () => {
  await cluster.etcd?.member(0).kill();
  await cluster.controlPlanes[0]?.kill();
  await expect.poll(async () => (await applyAlias("second")).code, soon).toBe(0);
  await knowEverywhere("second");
  await cluster.etcd?.member(0).start();
  await cluster.controlPlanes[0]?.start();
});

test("with every control plane and all of etcd gone, no request fails, failover and a restart included", async () => {
  await Promise.all(cluster.controlPlanes.map((each) => each.kill()));
  await Promise.all(cluster.etcd?.members.map((each) => each.kill()) ?? []);
  for (const { name } of cluster.regions) {
    expect(regionsOf(await askMany(endpointOf(cluster, name), 5))).toEqual([name]);
  }
  const [proxy] = cluster.region("eu-west").proxies;
  await proxy?.kill();
  await proxy?.start();
  expect((await askOnce(endpointOf(cluster, "eu-west"))).region).toBe("eu-west");
  await Promise.all(cluster.region("us-east").backends.map((each) => each.kill()));
  expect(regionsOf(await askMany(endpointOf(cluster, "us-east"), 10))).not.toContain("us-east");
});
