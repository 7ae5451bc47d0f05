import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { AdminService } from "@meridian/proto/gen/admin_pb";
import { StateRequestSchema, Verdict } from "@meridian/proto/gen/sync_pb";
import { formatVersion, readSnapshot } from "@meridian/proto/snapshot";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { callUnary } from "./test-calls.ts";
import { TestProxy } from "./test-proxy.ts";
import { Rig, testPolicy } from "./test-rig.ts";

let rig: Rig;
let ids = 0;

beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(async () => {
  await rig?.stop();
});

function newProxy(region = "eu-west"): TestProxy {
  return new TestProxy(rig.connect(`proxy-${region}`), region, `${region}-${ids++}`);
}

const wait = { timeout: 15_000, interval: 50 };

/** Puts a policy in force that is not the one before, and waits until it is served. */
let weight = 1;
async function applyAnother(more: object = {}): Promise<string> {
  weight += 1;
  const applied = await rig.apply({ ...testPolicy(weight), ...more });
  const version = formatVersion(applied.version);
  await vi.waitFor(async () => {
    const { policy } = await callUnary(rig.operator, AdminService.method.status, {});
    expect(formatVersion(policy)).toBe(version);
  }, wait);
  return version;
}

async function statusOf(proxy: TestProxy) {
  const { proxies } = await callUnary(rig.operator, AdminService.method.status, {});
  return proxies.find((each) => each.id === proxy.node.id);
}

test("before any policy a proxy is sent nothing but state frames", async () => {
  const proxy = newProxy();
  proxy.hello();
  const states = proxy.states();
  expect(await states.next()).toMatchObject({ storeReachable: true, regions: [] });
  await states.next();
  expect(proxy.pushes.items).toEqual([]);
});

test("hello, whole push, ack; then a delta for what changed alone", async () => {
  const first = await applyAnother();
  const proxy = newProxy();
  proxy.hello();
  const whole = await proxy.pushes.next();
  expect(whole).toMatchObject({ fromHash: "", region: "eu-west" });
  expect(formatVersion(whole.version)).toBe(first);
  const snapshot = proxy.accept(whole);
  const view = readSnapshot(snapshot);
  expect(view.kind === "ok" && view.value.backends.map((each) => each.name)).toEqual(["eu-west-a"]);
  const second = await applyAnother();
  const delta = await proxy.pushes.next();
  expect(delta).toMatchObject({ fromHash: whole.hash, removals: [] });
  expect(delta.upserts.map((each) => each.name)).toEqual(["backend/eu-west-a"]);
  proxy.accept(delta);
  await vi.waitFor(async () => {
    expect(formatVersion((await statusOf(proxy))?.applied)).toBe(second);
  });
});

test("a proxy that comes back with what it holds is sent the difference, or nothing", async () => {
  const proxy = newProxy();
  proxy.hello();
  proxy.accept(await proxy.pushes.next());
  proxy.hangUp();
  await applyAnother();
  proxy.hello();
  // The stream that was hung up ends the inbox, so a new proxy stands for the same one.
  const again = newProxy();
  again.held = proxy.held;
  again.hello();
  const delta = await again.pushes.next();
  expect(delta.fromHash).toBe(proxy.held?.hash);
  again.accept(delta);
  const third = newProxy();
  third.held = again.held;
  third.hello();
  const states = third.states();
  await states.next();
  await states.next();
  expect(third.pushes.items).toEqual([]);
});

test("one push is under way at a time, and the newest replaces those between", async () => {
  const proxy = newProxy();
  proxy.hello();
  const first = await proxy.pushes.next();
  await applyAnother();
  await applyAnother();
  const newest = await applyAnother();
  await proxy.states().next();
  expect(proxy.pushes.waiting).toBe(0);
  proxy.accept(first);
  const next = await proxy.pushes.next();
  expect(formatVersion(next.version)).toBe(newest);
  proxy.accept(next);
});

test("a refused push is not sent again, shows in the status, and the next policy is sent", async () => {
  const proxy = newProxy();
  proxy.hello();
  const push = await proxy.pushes.next();
  proxy.nack(push, "unreadable");
  await vi.waitFor(async () => {
    expect((await statusOf(proxy))?.refused).toMatchObject([{ code: "unreadable", path: "x" }]);
  });
  const states = proxy.states();
  await states.next();
  await states.next();
  expect(proxy.pushes.waiting).toBe(0);
  await applyAnother();
  proxy.accept(await proxy.pushes.next());
  await vi.waitFor(async () => {
    expect((await statusOf(proxy))?.refused).toEqual([]);
  });
});

test("a delta that does not fit is followed by the whole", async () => {
  const proxy = newProxy();
  proxy.hello();
  proxy.accept(await proxy.pushes.next());
  await applyAnother();
  const delta = await proxy.pushes.next();
  proxy.nack(delta, "delta_mismatch");
  const whole = await proxy.pushes.next();
  expect(whole).toMatchObject({ fromHash: "", hash: delta.hash });
  proxy.accept(whole);
});

test("an answer to what was never sent ends the stream", async () => {
  const proxy = newProxy();
  proxy.hello();
  await proxy.pushes.next();
  proxy.ack({ hash: "0".repeat(64) });
  expect(await proxy.pushes.finish()).toMatchObject({ code: status.ABORTED });
});

describe("state frames", () => {
  test("come each second without a change, each newer than the last", async () => {
    const states = newProxy().states();
    const first = await states.next();
    const at = performance.now();
    const second = await states.next();
    const third = await states.next();
    expect(performance.now() - at).toBeLessThan(3_000);
    expect(second.sequence).toBeGreaterThan(first.sequence);
    expect(third.sequence).toBeGreaterThan(second.sequence);
    expect(third.regions.map((each) => each.name)).toEqual(["eu-west", "us-east", "ap-south"]);
  });

  test("tell a drain at once, with the time that it has left", async () => {
    await applyAnother();
    const states = newProxy("us-east").states();
    await states.next();
    const at = performance.now();
    await callUnary(rig.operator, AdminService.method.drain, {
      what: { case: "backend", value: "us-east-a" },
      forSeconds: 600,
      reason: "test",
    });
    const frames = [];
    while (frames.at(-1)?.backends.length !== 1) frames.push(await states.next());
    expect(performance.now() - at).toBeLessThan(900);
    const [told] = frames.at(-1)?.backends ?? [];
    expect(told).toMatchObject({
      name: "us-east-a",
      draining: true,
      verdict: Verdict.VERDICT_UNSPECIFIED,
    });
    expect(told?.drainLeftMs).toBeGreaterThan(590_000);
    await callUnary(rig.operator, AdminService.method.undrain, {
      what: { case: "backend", value: "us-east-a" },
    });
    while (frames.at(-1)?.backends.length !== 0) frames.push(await states.next());
  });
});

test("reports are acknowledged and make region and backend ready in the status", async () => {
  const proxy = newProxy("ap-south");
  proxy.hello();
  const { version } = await proxy.pushes.next();
  const { acks, send } = proxy.reports();
  const backends = [{ name: "ap-south-a", started: 3, succeeded: 2, failed: 1, inFlight: 4 }];
  let sequence = 0n;
  const report = () => {
    sequence += 1n;
    send({
      sequence,
      backends,
      liveRequests: 4,
      ...(version === undefined ? {} : { applied: version }),
    });
  };
  report();
  expect(await acks.next()).toMatchObject({ sequence: 1n });
  await vi.waitFor(
    async () => {
      report();
      const all = await callUnary(rig.operator, AdminService.method.status, {});
      expect(all.regions.find((each) => each.name === "ap-south")).toMatchObject({
        state: "ready",
        proxies: 1,
        available: 1,
      });
      expect(all.backends.find((each) => each.name === "ap-south-a")).toMatchObject({
        state: "available",
        inFlight: 4,
      });
    },
    { timeout: 8_000, interval: 300 },
  );
});

test("who reads nothing delays nobody else, and gets the newest when reading again", async () => {
  const tenants = Array.from({ length: 4_000 }, (_, index) => ({
    name: `tenant-${index}`,
    keys: [{ sha256: index.toString(16).padStart(64, "0") }],
  }));
  await applyAnother({ tenants });
  const slow = newProxy();
  slow.hello();
  slow.stopReading();
  const others = Array.from({ length: 5 }, () => newProxy());
  for (const each of others) each.hello();
  await Promise.all(others.map(async (each) => each.accept(await each.pushes.next())));
  let newest = "";
  for (let round = 0; round < 3; round++) {
    newest = await applyAnother({ tenants });
    const pushes = await Promise.all(others.map((each) => each.pushes.next(2_000)));
    for (const [index, push] of pushes.entries()) {
      expect(formatVersion(push.version)).toBe(newest);
      others[index]?.accept(push);
    }
  }
  expect(slow.pushes.items).toEqual([]);
  slow.startReading();
  slow.accept(await slow.pushes.next());
  expect(formatVersion((await slow.pushes.next()).version)).toBe(newest);
});

test("frames for who reads none are skipped, never queued, and all others get each", async () => {
  // So many pools that one frame fills a stream's flow-control window.
  const names = Array.from({ length: 1_800 }, (_, index) => `model-with-a-long-name-${index}`);
  const backends = Array.from({ length: 4 }, (_, index) => ({
    name: `wide-${index}`,
    region: "eu-west",
    url: "http://127.0.0.1:9",
    serves: names.slice(index * 450, (index + 1) * 450).map((model) => ({ model })),
  }));
  const models = names.map((name) => ({ name }));
  const policy = { regions: testPolicy().regions, backends, models };
  expect((await rig.apply(policy)).problems.filter((each) => !each.warning)).toEqual([]);
  const before = await skippedFrames();
  const ignorant = openUnreadStates();
  const states = newProxy().states();
  await vi.waitFor(
    async () => {
      expect(await skippedFrames()).toBeGreaterThan(before + 2);
      expect(states.items.length).toBeGreaterThan(3);
    },
    { timeout: 20_000, interval: 250 },
  );
  const sequences = states.items.map((each) => each.sequence);
  expect(sequences).toEqual(sequences.toSorted((a, b) => Number(a - b)));
  ignorant.destroy();
});

/** As the control plane counts them; other tests' streams are in it. */
async function skippedFrames(): Promise<number> {
  const metrics = await (await fetch(`${rig.opsUrl}/metrics`)).text();
  return Number(/state_frames_total\{outcome="skipped"\} (\d+)/.exec(metrics)?.[1] ?? 0);
}

/** A state stream on bare HTTP/2 that reads nothing: grpc-js's own client reads ahead without bound. */
function openUnreadStates(): ClientHttp2Session {
  const file = (name: string) => readFileSync(join(rig.tls("proxy-eu-west"), name));
  const secure = { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") };
  const session = connectHttp2(`https://${rig.address}`, { ...secure, servername: "localhost" });
  const stream = session.request({
    ":method": "POST",
    ":path": "/meridian.v1.SyncService/State",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  const node = { id: "unread", region: "eu-west", build: "test" };
  const message = toBinary(StateRequestSchema, create(StateRequestSchema, { node }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  return session;
}

test("a killed control plane that comes back serves the same policy under the same version", async () => {
  const version = await applyAnother();
  const proxy = newProxy();
  proxy.hello();
  proxy.accept(await proxy.pushes.next());
  await rig.program.kill();
  await proxy.pushes.finish();
  await rig.program.start();
  const again = newProxy();
  again.held = proxy.held;
  again.hello();
  const states = again.states();
  expect(formatVersion((await states.next()).policy)).toBe(version);
  await states.next();
  expect(again.pushes.items).toEqual([]);
});

test("a killed control plane that comes back holds out what it held out", async () => {
  await applyAnother();
  const backend = "us-east-a";
  const explained = async () =>
    (await callUnary(rig.operator, AdminService.method.explainBackend, { name: backend })).report;
  const writes = async () => {
    const text = await (await fetch(`${rig.opsUrl}/metrics`)).text();
    return Number(/meridian_control_store_writes_total\{outcome="ok"\} (\d+)/.exec(text)?.[1]);
  };
  const ill = newProxy("us-east").reports();
  let sequence = 0n;
  await vi.waitFor(async () => {
    sequence += 1n;
    ill.send({ sequence, backends: [{ name: backend, failed: 5 }] });
    expect((await explained())?.verdict).toBe("unhealthy");
  }, wait);
  // One write may have been under way, one may be a heartbeat alone.
  const before = await writes();
  await vi.waitFor(async () => expect(await writes()).toBeGreaterThan(before + 2), wait);
  await rig.program.kill();
  await rig.program.start();
  const again = newProxy("us-east").reports();
  await vi.waitFor(async () => {
    again.send({ sequence: 1n, backends: [{ name: backend }] });
    expect(await explained()).toMatchObject({
      verdict: "unhealthy",
      share: 0,
      history: [{ reason: expect.stringMatching(/^as told before: \d+ of \d+ requests failed$/) }],
    });
  }, wait);
});

test("a stop ends every stream with a status that sends proxies elsewhere", async () => {
  const proxy = newProxy();
  proxy.hello();
  await proxy.pushes.next();
  const states = proxy.states();
  await states.next();
  const at = performance.now();
  await rig.program.stop();
  expect(performance.now() - at).toBeLessThan(5_000);
  expect(await proxy.pushes.finish()).toMatchObject({ code: status.UNAVAILABLE });
  expect(await states.finish()).toMatchObject({ code: status.UNAVAILABLE });
});
