import { readFileSync, truncateSync } from "node:fs";
import { createServer } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { ResourceSchema, type Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { makePush } from "@meridian/proto/snapshot";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { decodeLastGood } from "./control/last-good.ts";
import { TestControlPlane } from "./control/test-control-plane.ts";
import { ask, type FakeUpstream, oneRegion, type Script, useBeds } from "./server/test-bed.ts";
import {
  createTestAuthority,
  issueTestTls,
  type TestAuthority,
} from "./server/test-certificates.ts";
import { deadline, type ProxySettings, TestProxy, useFolder, writeTls } from "./test-proxy.ts";

const folder = useFolder();
const { upstream } = useBeds();
let authority: TestAuthority;
let tlsDir = "";
let folders = 0;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  authority = await createTestAuthority();
  const files = await issueTestTls(authority, { role: "proxy", region: "eu" });
  tlsDir = writeTls(join(folder, "tls"), files);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function controlPlane(role: "control" | "proxy" = "control"): Promise<TestControlPlane> {
  const files = await issueTestTls(authority, { role, region: "eu" });
  const control = await new TestControlPlane(files).start();
  cleanups.push(() => control.stop());
  return control;
}

function proxy(settings: Partial<ProxySettings> = {}): TestProxy {
  const started = new TestProxy({ dataDir: freshFolder(), tlsDir, ...settings });
  cleanups.push(() => started.stop());
  return started;
}

function freshFolder(): string {
  folders += 1;
  return join(folder, `data-${folders}`);
}

const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};

async function snapshot(sequence: number, backend?: FakeUpstream): Promise<Snapshot> {
  return fixtureSnapshot("eu", oneRegion([backend ?? (await upstream(answer))]), sequence);
}

async function chat(program: TestProxy): Promise<{ status: number; revision: unknown }> {
  const body = { model: "m", messages: [{ role: "user", content: "hi" }] };
  const reply = await ask(`http://${program.address("clients")}/v1/chat/completions`, { body });
  return { status: reply.status, revision: reply.headers["x-meridian-revision"] };
}

/** A data folder whose last-good file has this snapshot, written by a proxy. */
async function folderWith(held: Snapshot): Promise<string> {
  const dataDir = freshFolder();
  const control = await controlPlane();
  control.publish(held);
  const program = await proxy({ dataDir, controls: [control.address] }).ready();
  const file = join(dataDir, "last-good.snapshot");
  await vi.waitFor(() => {
    const decoded = decodeLastGood(readFileSync(file), "eu", file);
    expect(decoded).toMatchObject({ value: { hash: held.hash } });
  }, deadline);
  await program.stop();
  control.stop();
  return dataDir;
}

test("a proxy is ready when its first snapshot is in force, and reports each second", async () => {
  const control = await controlPlane();
  const program = await proxy({ controls: [control.address] }).listening();
  expect((await program.ops("/livez")).status).toBe(200);
  expect((await program.ops("/readyz")).status).toBe(503);
  expect((await program.ops("/gslb/ready")).status).toBe(503);
  expect((await chat(program)).status).toBe(503);
  await vi.waitFor(() => expect(control.hellos).toHaveLength(1), deadline);
  expect(control.hellos[0]?.held).toBeUndefined();

  const one = await snapshot(1);
  control.publish(one);
  await program.ready();
  expect(control.acks.map((each) => each.hash)).toEqual([one.hash]);
  expect(await chat(program)).toEqual({ status: 200, revision: "1.1" });
  expect((await program.ops("/gslb/ready")).status).toBe(200);
  expect((await program.ops("/gslb/weight")).text).toBe("255\n");
  expect(JSON.parse((await program.ops("/gslb/state")).text)).toMatchObject({
    region: "eu",
    state: "ready",
    revision: "1.1",
    stale: false,
  });
  await vi.waitFor(() => {
    const report = control.reports.find((each) => each.requests === 1n);
    expect(report?.applied).toMatchObject({ epoch: 1n, sequence: 1n });
    expect(
      control.reports.flatMap((each) => each.backends).filter((each) => each.succeeded === 1),
    ).toHaveLength(1);
  }, deadline);
  const metrics = (await program.ops("/metrics")).text;
  expect(metrics).toContain('meridian_requests_total{route="all",model="m",status="2xx"} 1');
  expect(metrics).toContain("meridian_snapshot_sequence 1");
  expect(metrics).toMatch(/meridian_state_age_seconds 0\.\d+/);
  expect(metrics).toContain(`meridian_control_connected{control="${control.address}"} 1`);
});

test("without its control plane a proxy serves on, and offers what it holds when one is back", async () => {
  const control = await controlPlane();
  const one = await snapshot(1);
  control.publish(one);
  const program = await proxy({ controls: [control.address] }).ready();
  control.stop();
  await program.logged("control stream ended");
  expect((await chat(program)).status).toBe(200);
  expect((await program.ops("/readyz")).status).toBe(200);
  await control.start();
  await vi.waitFor(() => expect(control.hellos).toHaveLength(2), deadline);
  expect(control.hellos[1]?.heldHash).toBe(one.hash);
  const two = await snapshot(2);
  control.publish(two);
  await vi.waitFor(async () => expect((await chat(program)).revision).toBe("1.2"), deadline);
});

test("a proxy that starts without any control plane serves from its last-good file", async () => {
  const held = await snapshot(7, await upstream(answer));
  const dataDir = await folderWith(held);
  const program = await proxy({ dataDir, controls: ["127.0.0.1:9"] }).ready();
  expect(await chat(program)).toEqual({ status: 200, revision: "1.7" });
  const { startedMs, startedCpuMs } = await program.logged("listening");
  console.log(`cold start: ${startedMs} ms, ${startedCpuMs} ms of processor time`);
  // The budget of 1 s, by processor time: other tests share the machine.
  expect(Number(startedCpuMs)).toBeLessThan(1_000);
});

test("a last-good file that was cut is refused with its reason, and the proxy goes on", async () => {
  const dataDir = await folderWith(await snapshot(1));
  truncateSync(join(dataDir, "last-good.snapshot"), 200);
  const control = await controlPlane();
  const program = await proxy({ dataDir, controls: [control.address] }).listening();
  const refused = await program.logged("last-good file refused");
  expect(refused.problem).toContain("does not have its checksum");
  expect((await program.ops("/readyz")).status).toBe(503);
  control.publish(await snapshot(2));
  await program.ready();
});

test("a refused push changes nothing, and the next good one is taken", async () => {
  const control = await controlPlane();
  control.publish(await snapshot(3));
  const program = await proxy({ controls: [control.address] }).ready();
  const four = await snapshot(4);
  const [first, ...others] = makePush(undefined, four).upserts;
  const { name = "", hash = "" } = first ?? {};
  const bent = create(ResourceSchema, { name, hash, body: new Uint8Array([1, 2, 3]) });
  control.push({ ...makePush(undefined, four), upserts: [bent, ...others] });
  control.push(makePush(undefined, await snapshot(2)));
  await vi.waitFor(() => expect(control.nacks).toHaveLength(2), deadline);
  expect(control.nacks.map((each) => each.problems[0]?.code)).toEqual([
    "hash_mismatch",
    "version_backwards",
  ]);
  expect(await chat(program)).toEqual({ status: 200, revision: "1.3" });
  expect((await program.ops("/metrics")).text).toContain("meridian_snapshots_refused_total 2");
  control.publish(four);
  await vi.waitFor(async () => expect((await chat(program)).revision).toBe("1.4"), deadline);
});

test("who is no control plane is not listened to", async () => {
  const impostor = await controlPlane("proxy");
  impostor.publish(await snapshot(1));
  const program = await proxy({ controls: [impostor.address] }).listening();
  const ended = await program.logged("control stream ended");
  expect(ended.reason).toContain("is not a control");
  expect(impostor.hellos).toEqual([]);
});

test("a drained region is closed to new clients, and still answers those who come", async () => {
  const control = await controlPlane();
  control.publish(await snapshot(1));
  const program = await proxy({ controls: [control.address] }).ready();
  control.drain(["eu"]);
  await vi.waitFor(async () => {
    expect((await program.ops("/gslb/ready")).status).toBe(503);
  }, deadline);
  expect((await program.ops("/gslb/weight")).text).toBe("0\n");
  expect((await program.ops("/readyz")).status).toBe(200);
  expect((await chat(program)).status).toBe(200);
  control.drain([]);
  await vi.waitFor(async () => {
    expect((await program.ops("/gslb/ready")).status).toBe(200);
  }, deadline);
});

test("a region that fails its clients closes, though its backends are said to be well", async () => {
  const control = await controlPlane();
  control.praise(["b0"]);
  const failing = await upstream((_, response) => response.writeHead(500).end());
  control.publish(await snapshot(1, failing));
  const program = await proxy({ controls: [control.address] }).ready();
  await vi.waitFor(async () => {
    expect((await chat(program)).status).toBe(502);
    expect((await program.ops("/gslb/ready")).status).toBe(503);
  }, deadline);
  expect(JSON.parse((await program.ops("/gslb/state")).text)).toMatchObject({
    state: "down",
    weight: 0,
    reason: expect.stringMatching(/^(\d+) of \1 requests of clients failed here$/),
  });
  const metrics = (await program.ops("/metrics")).text;
  expect(metrics).toMatch(/meridian_edge_requests_total\{outcome="failed"\} [1-9]/);
  expect(metrics).toContain('meridian_edge_requests_total{outcome="answered"} 0');
  expect(metrics).toContain('meridian_backend_verdict{backend="b0"} 2');
});

test("a proxy with neither file nor control plane starts from a sibling", async () => {
  const dataDir = await folderWith(await snapshot(5, await upstream(answer)));
  const sibling = await proxy({ dataDir }).ready();
  const more = { MERIDIAN_SIBLINGS: `127.0.0.1:9,${sibling.address("peers")}` };
  const program = await proxy({ more }).ready();
  expect(await chat(program)).toEqual({ status: 200, revision: "1.5" });
});

test.each([
  ["another region's proxy gets no snapshot", { role: "proxy", region: "us" }, 403],
  ["a control plane is refused on the peer port", { role: "control", region: "eu" }, 403],
  ["an operator is refused on the peer port", { role: "operator", name: "op" }, 403],
  ["the region's own proxy gets the snapshot", { role: "proxy", region: "eu" }, 200],
] as const)("%s", async (_what, identity, status) => {
  const program = await proxy({ dataDir: await folderWith(await snapshot(1)) }).ready();
  const files = await issueTestTls(authority, identity);
  expect(await askPeer(program, files)).toBe(status);
});

test("without a certificate of the authority nobody gets through to the peer port", async () => {
  const program = await proxy().listening();
  const foreign = await issueTestTls(await createTestAuthority(), { role: "proxy", region: "eu" });
  await expect(askPeer(program, { rejectUnauthorized: false })).rejects.toThrow();
  await expect(askPeer(program, { ...foreign, rejectUnauthorized: false })).rejects.toThrow();
});

function askPeer(program: TestProxy, tls: https.RequestOptions): Promise<number | undefined> {
  const [host, port] = program.address("peers").split(":");
  return new Promise((resolve, reject) => {
    const options = { host, port, path: "/meridian/snapshot", agent: false, ...tls };
    const request = https.get(options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("error", reject);
  });
}

test("SIGTERM lets a live stream end, refuses new requests, and exits with 0", async () => {
  let finish: (() => void) | undefined;
  const streaming = await upstream(({ url }, response) => {
    if (url === "/health") return void response.end();
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"choices":[{"delta":{"content":"one"}}]}\n\n');
    finish = () =>
      response.end('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
  });
  const control = await controlPlane();
  control.publish(await snapshot(1, streaming));
  const program = await proxy({ controls: [control.address] }).ready();
  const url = `http://${program.address("clients")}/v1/chat/completions`;
  const body = { model: "m", stream: true, messages: [{ role: "user", content: "hi" }] };
  let soFar = "";
  const live = ask(url, {
    body,
    onData: (text) => {
      soFar = text;
    },
  });
  await vi.waitFor(() => expect(soFar).toContain("one"), deadline);

  program.child.kill("SIGTERM");
  await program.logged("draining");
  expect((await program.ops("/readyz")).status).toBe(503);
  expect((await program.ops("/gslb/ready")).status).toBe(503);
  expect((await chat(program)).status).toBe(503);
  await vi.waitFor(() => expect(control.reports.at(-1)?.draining).toBe(true), deadline);
  expect(program.child.exitCode).toBeNull();
  finish?.();
  expect(await live).toMatchObject({ status: 200, clean: true });
  expect(soFar).toContain("[DONE]");
  expect(await program.ended).toBe(0);
});

test.each([
  ["the time of a drain ends it", { MERIDIAN_DRAIN_MS: "100" }, [], 0],
  ["a second signal ends it at once", {}, ["SIGTERM"], 1],
] as const)("%s, whatever is live", async (_what, more, signals, code) => {
  const hanging = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"choices":[{"delta":{"content":"one"}}]}\n\n');
  });
  const control = await controlPlane();
  control.publish(await snapshot(1, hanging));
  const program = await proxy({ controls: [control.address], more }).ready();
  const url = `http://${program.address("clients")}/v1/chat/completions`;
  const body = { model: "m", stream: true, messages: [{ role: "user", content: "hi" }] };
  let soFar = "";
  const live = ask(url, {
    body,
    onData: (text) => {
      soFar = text;
    },
  });
  await vi.waitFor(() => expect(soFar).toContain("one"), deadline);
  program.child.kill("SIGTERM");
  await program.logged("draining");
  for (const signal of signals) program.child.kill(signal);
  expect(await program.ended).toBe(code);
  expect(await live).toMatchObject({ clean: false });
});

test("a port that is taken gives one line with the way out, and exit code 3", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  cleanups.push(() => taken.close());
  await vi.waitFor(() => expect(taken.listening).toBe(true), deadline);
  // It listens on host and port.
  const { port } = taken.address() as AddressInfo;
  const program = proxy({ more: { MERIDIAN_OPS_LISTEN: `127.0.0.1:${port}` } });
  expect(await program.ended).toBe(3);
  await vi.waitFor(() => expect(program.plain).not.toBe(""), deadline);
  expect(program.plain).toBe(
    `127.0.0.1:${port} (for ops) is taken: end what listens there, or choose another with --ops-listen HOST:PORT\n`,
  );
});

test.each([
  ["another region's certificate", { region: "us" }, "is not for a proxy of us"],
  ["a folder without certificates", { tlsDir: "/nowhere" }, "meridian pki issue"],
])("%s is refused at the start with exit code 2", async (_what, settings, message) => {
  const program = proxy(settings);
  expect(await program.ended).toBe(2);
  await vi.waitFor(() => expect(program.plain).toContain(message), deadline);
});

test("a proxy ends with the program that started it", async () => {
  const program = await proxy().listening();
  program.child.disconnect();
  expect(await program.ended).toBe(0);
});
