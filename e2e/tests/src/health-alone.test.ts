// The same without any control plane: a proxy ejects by its own evidence, and lets back in what has proved itself.

import { type Cluster, startCluster, withCanaries } from "@meridian/harness";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { endpointOf, showLogsOfFailures } from "./client.ts";
import { opsOf, readMetric } from "./metric-reading.ts";
import { startLoad } from "./steady-load.ts";

const region = "eu-west";
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ regions: [region], policy: withCanaries });
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

test("a proxy that starts without a control plane judges backends itself, and readmits them", async () => {
  for (const each of cluster.controlPlanes) await each.kill();
  const [proxy] = cluster.region(region).proxies;
  await proxy?.kill();
  await proxy?.start();
  const [victim] = cluster.region(region).backends;
  const verdict = () =>
    readMetric(opsOf(cluster, region), `meridian_backend_verdict{backend="${victim?.name}"}`);
  await vi.waitFor(async () => expect(await verdict()).toBe(2), { timeout: 15_000 });

  const load = startLoad(endpointOf(cluster, region), "sim-large", 20);
  const killedAt = performance.now();
  await victim?.kill();
  await vi.waitFor(async () => expect(await verdict()).toBe(0), { timeout: 15_000 });
  const outMs = Math.round(performance.now() - killedAt);
  await victim?.start();
  await vi.waitFor(async () => expect(await verdict()).toBe(2), {
    timeout: 100_000,
    interval: 200,
  });
  const backMs = Math.round(performance.now() - killedAt) - outMs;
  const requests = await load.stop();
  console.log(
    `alone: unhealthy after ${outMs} ms, healthy ${backMs} ms later, ` +
      `${load.errors.length} of ${requests} requests failed`,
  );
  expect(load.errors).toEqual([]);
  expect(outMs).toBeLessThanOrEqual(6_000);
});
