import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type Etcd, type Relay, startEtcd, startRelay } from "@meridian/harness";
import { afterEach, expect, test, vi } from "vitest";

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test("a member that was killed comes back with its data on its address", async () => {
  const etcd = await start({ members: 1 });
  await put(etcd.member(0).directUrl, "a", "1");
  await etcd.member(0).kill();
  expect(etcd.member(0).isRunning()).toBe(false);
  await etcd.member(0).start();
  await etcd.member(0).ready();
  expect(await get(etcd.member(0).directUrl, "a")).toBe("1");
});

test("a member that is paused answers nothing, and goes on when it is resumed", async () => {
  const etcd = await start({ members: 1 });
  const url = etcd.member(0).directUrl;
  await put(url, "a", "1");
  etcd.member(0).pause();
  await expect(get(url, "a", 300)).rejects.toThrow(/timeout/i);
  etcd.member(0).resume();
  expect(await get(url, "a")).toBe("1");
});

test("behind the relay a commit takes the round trip to the nearest other member", async () => {
  const relay = await openRelay();
  const etcd = await start({ members: 3, relay });
  await etcd.lead(0);
  await vi.waitFor(() => put(etcd.member(0).directUrl, "a", "1"), { timeout: 10_000 });
  const [nearMs, farMs] = [await commitMs(etcd, "us-east"), await commitMs(etcd, "ap-south")];
  // us-east leads and needs eu-west (80 ms); ap-south's own member asks the leader first (150 ms more).
  expect(nearMs).toBeGreaterThan(75);
  expect(farMs - nearMs).toBeGreaterThan(140);
  expect(farMs - nearMs).toBeLessThan(300);
});

test("an isolated member loses its quorum while the others go on; healed, it catches up", async () => {
  const relay = await openRelay([]);
  const etcd = await start({ members: 3, relay });
  await etcd.lead(0);
  await etcd.member(2).isolate(true);
  const [own, near] = [etcd.endpoints("ap-south")[0] ?? "", etcd.endpoints("us-east")[0] ?? ""];
  await vi.waitFor(() => expect(put(own, "a", "lost", 1_000)).rejects.toThrow(), {
    timeout: 20_000,
  });
  await put(near, "b", "kept");
  await etcd.member(2).isolate(false);
  await vi.waitFor(async () => expect(await get(own, "b", 1_000)).toBe("kept"), {
    timeout: 30_000,
  });
});

test("a black-holed member takes connections and says nothing to anybody", async () => {
  const relay = await openRelay([]);
  const etcd = await start({ members: 3, relay });
  await etcd.member(1).blackHole(true);
  for (const region of ["us-east", "eu-west"]) {
    const url = etcd.endpoints(region).at(region === "eu-west" ? 0 : 1) ?? "";
    await expect(get(url, "a", 300)).rejects.toThrow(/timeout/i);
  }
});

test("relay and etcd end with the program that started them, even when it is killed", async () => {
  const script = `
    import { startEtcd, startRelay } from "@meridian/harness";
    const relay = await startRelay();
    const etcd = await startEtcd({ members: 1, relay });
    console.log(JSON.stringify([etcd.member(0).directUrl, ...etcd.endpoints("us-east")]));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  ends.push(async () => void child.kill("SIGKILL"));
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const urls: readonly string[] = JSON.parse(String(line));
  expect(urls.length).toBe(2);
  child.kill("SIGKILL");
  for (const url of urls) {
    await vi.waitFor(() => expect(fetch(url)).rejects.toThrow("fetch failed"), { timeout: 10_000 });
  }
});

async function openRelay(distances?: readonly []): Promise<Relay> {
  const relay = await startRelay(distances === undefined ? {} : { distances });
  ends.push(relay.close);
  return relay;
}

async function start(options: Parameters<typeof startEtcd>[0]): Promise<Etcd> {
  const etcd = await startEtcd(options);
  ends.push(etcd.stop);
  return etcd;
}

/** Least of several, through the region's own member. */
async function commitMs(etcd: Etcd, region: string): Promise<number> {
  const url = etcd.endpoints(region)[0] ?? "";
  const measured: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const started = performance.now();
    await put(url, "a", String(turn));
    measured.push(performance.now() - started);
  }
  return Math.min(...measured);
}

async function put(url: string, key: string, value: string, timeoutMs = 5_000): Promise<void> {
  await ask(`${url}/v3/kv/put`, { key: base64(key), value: base64(value) }, timeoutMs);
}

async function get(url: string, key: string, timeoutMs = 5_000): Promise<string | undefined> {
  const answer = await ask(`${url}/v3/kv/range`, { key: base64(key) }, timeoutMs);
  const value = answer.kvs?.[0]?.value;
  return value === undefined ? undefined : Buffer.from(value, "base64").toString();
}

type RangeAnswer = { readonly kvs?: readonly { readonly value: string }[] };

async function ask(url: string, body: unknown, timeoutMs: number): Promise<RangeAnswer> {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok) throw new Error(`etcd answered ${response.status}`);
  // etcd's RangeResponse in ProtoJSON; a put's answer has no kvs.
  return (await response.json()) as RangeAnswer;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
