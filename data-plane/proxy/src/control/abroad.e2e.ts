// In a file of its own, as it takes real time: another region's control plane is used after 10 s, and left again.

import { join } from "node:path";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { expect, test, vi } from "vitest";
import { createTestAuthority, issueTestTls } from "../server/test-certificates.ts";
import { TestProxy, useFolder, writeTls } from "../test-proxy.ts";
import { TestControlPlane } from "./test-control-plane.ts";

const folder = useFolder();
const policy = {
  regions: [{ name: "eu" }, { name: "us" }],
  backends: [
    { name: "b0", region: "eu", url: "http://127.0.0.1:9", serves: [{ model: "m", as: "m" }] },
  ],
  models: [{ name: "m" }],
  routes: [{ name: "all", match: { models: ["*"] } }],
};
const patience = { timeout: 30_000, interval: 50 };

test("another region's control plane is used after 10 s without the own one, until that is back", async () => {
  const authority = await createTestAuthority();
  const asProxy = await issueTestTls(authority, { role: "proxy", region: "eu" });
  const own = new TestControlPlane(
    await issueTestTls(authority, { role: "control", region: "eu" }),
  );
  const other = new TestControlPlane(
    await issueTestTls(authority, { role: "control", region: "us" }),
  );
  // Started and stopped: its port is known, and nobody answers there.
  await own.start();
  own.stop();
  await other.start();
  const snapshot = fixtureSnapshot("eu", policy, 3);
  for (const each of [own, other]) each.publish(snapshot);
  const program = new TestProxy({
    dataDir: join(folder, "data"),
    tlsDir: writeTls(join(folder, "tls"), asProxy),
    controls: [own.address, other.address],
  });
  try {
    await vi.waitFor(() => expect(other.acks).toHaveLength(1), patience);
    expect(performance.now() - program.startedAt).toBeGreaterThan(10_000);
    expect(other.hellos[0]?.heldHash).toBe("");
    expect(await inUse(program, own, other)).toEqual([0, 1]);

    await own.start();
    await vi.waitFor(() => expect(own.hellos).toHaveLength(1), patience);
    expect(own.hellos[0]?.heldHash).toBe(snapshot.hash);
    await vi.waitFor(
      async () => expect(await inUse(program, own, other)).toEqual([1, 0]),
      patience,
    );
    expect(other.hellos).toHaveLength(1);
  } finally {
    await program.stop();
    own.stop();
    other.stop();
  }
});

/** For each control plane, what the metric says: 1 is in use. */
async function inUse(
  program: TestProxy,
  ...controls: readonly TestControlPlane[]
): Promise<readonly number[]> {
  const { text } = await program.ops("/metrics");
  return controls.map((each) => {
    const line = `meridian_control_connected{control="${each.address}"} `;
    return Number(text.split(line)[1]?.split("\n")[0]);
  });
}
