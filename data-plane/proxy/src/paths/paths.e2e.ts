// The ways to other regions, tried over real connections: a way that is cut is not chosen, until it works again.

import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { RegionPaths } from "@meridian/data-core/locality";
import { seededRandom } from "@meridian/proto/base";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import { beforeAll, expect, test, vi } from "vitest";
import { TestControlPlane } from "../control/test-control-plane.ts";
import type { PeerTls } from "../server/index.ts";
import {
  ask,
  backendOf,
  type FakeUpstream,
  type PolicyDocument,
  type Script,
  useBeds,
} from "../server/test-bed.ts";
import {
  createTestAuthority,
  issueTestTls,
  type TestAuthority,
} from "../server/test-certificates.ts";
import { deadline, TestProxy, useFolder, writeTls } from "../test-proxy.ts";
import { PathProber } from "./path-prober.ts";
import { TestRelay } from "./test-relay.ts";

const folder = useFolder();
const { upstream, bed, atEnd } = useBeds();

let authority: TestAuthority;
const identities = new Map<string, PeerTls>();
beforeAll(async () => {
  authority = await createTestAuthority();
  for (const region of ["ap", "eu", "us"]) {
    identities.set(region, await issueTestTls(authority, { role: "proxy", region }));
  }
});

function identity(region: string): PeerTls {
  const found = identities.get(region);
  if (found === undefined) throw new Error(`there is no identity of ${region}`);
  return found;
}

const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};

type Other = "us" | "ap";

/** Each region's proxies by their peer address; own backends there alone. */
function policy(backend: FakeUpstream, peers: { readonly [K in Other]?: string }): PolicyDocument {
  const others = Object.keys(peers);
  return {
    regions: [
      { name: "eu" },
      ...Object.entries(peers).map(([name, peer]) => ({ name, peers: [peer] })),
    ],
    backends: others.map((region) => backendOf(backend, { name: `${region}-a`, region })),
    models: [{ name: "m" }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
}

/** Another region, and a way to it. */
async function other(region: Other, backend: FakeUpstream, delayMs = 0) {
  const document = policy(backend, { [region]: "127.0.0.1:1" });
  const made = await bed({ region, peerTls: identity(region), document });
  const relay = await new TestRelay(made.peerPort, delayMs).start();
  atEnd(() => relay.stop());
  return { bed: made, relay };
}

async function world() {
  const backend = await upstream(answer);
  const { bed: us, relay } = await other("us", backend);
  return { backend, us, relay };
}

test("a proxy learns how far and how busy other regions are, and that requests are answered there", async () => {
  const { backend, us, relay } = await world();
  const paths = new RegionPaths();
  // Time runs 20 times as fast for the plan: the real request comes within two seconds.
  const clock = { now: () => performance.now() * 20, wall: () => Date.now() };
  const ignore = () => undefined;
  const prober = new PathProber({
    id: "p1",
    region: "eu",
    clock,
    random: seededRandom("paths"),
    peerTls: identity("eu"),
    peerVia: new Map(),
    paths,
    proxies: () => [],
    logger: { info: ignore, warn: ignore },
  });
  atEnd(() => prober.close());
  prober.take(fixtureSnapshot("eu", policy(backend, { us: relay.address })));
  await vi.waitUntil(() => prober.readings().get("us")?.counts.inference.answered, deadline);
  await vi.waitUntil(() => prober.readings().get("us")?.counts.state.answered, deadline);
  expect(prober.readings().get("us")).toMatchObject({ isWorking: true });
  expect(paths.rttMs("us")).toBeGreaterThan(0);
  expect(paths.queueMs("us", "m")).toBe(0);
  expect(paths.headroom("us", "m")).toBeUndefined();
  expect(JSON.parse(backend.seen[0]?.body ?? "")).toMatchObject({
    model: "upstream/m",
    max_tokens: 1,
  });
  // No client has asked for it, so it is none of what clients got.
  expect(us.finished).toEqual([]);
});

test("what proxies ask each other is refused to everybody else", async () => {
  const { us } = await world();
  expect(await ask(`${us.url}/peer/state`)).toMatchObject({ status: 404 });
  expect(await ask(`${us.url}/peer/inference`, { body: {} })).toMatchObject({ status: 404 });
  const operator = await issueTestTls(authority, { role: "operator", name: "op" });
  for (const method of ["GET", "POST"] as const) {
    const path = method === "GET" ? "/peer/state" : "/peer/inference";
    expect(await askPeer(us.peerPort, operator, { method, path })).toBe(403);
    expect(await askPeer(us.peerPort, identity("eu"), { method, path })).toBe(200);
  }
});

test("nobody is sent on in the name of the proxies themselves", async () => {
  const { us } = await world();
  const sent = {
    method: "POST",
    path: "/v1/chat/completions",
    body: JSON.stringify({ model: "m", messages: [] }),
  } as const;
  const as = (tenant: string) => ({ ...sent, headers: { "x-meridian-tenant": tenant } });
  expect(await askPeer(us.peerPort, identity("eu"), as(":meridian"))).toBe(503);
  expect(us.finished).toMatchObject([{ errorCode: "unknown_tenant" }]);
  expect(await askPeer(us.peerPort, identity("eu"), as("anonymous"))).toBe(200);
});

/** The status of an answer on a peer port. */
function askPeer(
  port: number,
  tls: PeerTls,
  asked: {
    readonly method: string;
    readonly path: string;
    readonly headers?: { readonly [name: string]: string };
    readonly body?: string;
  },
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { body, headers = {}, method, path } = asked;
    const options = {
      host: "127.0.0.1",
      port,
      method,
      path,
      headers: { ...headers },
      agent: false,
    };
    const request = httpsRequest({ ...tls, ...options, checkServerIdentity: () => undefined });
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    request.end(body);
  });
}

test("a way that is cut is marked within 8 s and not chosen; when it works again, so it is", async () => {
  const backend = await upstream(answer);
  const near = await other("us", backend);
  const far = await other("ap", backend, 50);
  const files = await issueTestTls(authority, { role: "control", region: "eu" });
  const control = await new TestControlPlane(files).start();
  atEnd(() => control.stop());
  const peers = { us: near.relay.address, ap: far.relay.address };
  control.publish(fixtureSnapshot("eu", policy(backend, peers)));
  const eu = new TestProxy({
    dataDir: join(folder, "data"),
    tlsDir: writeTls(join(folder, "tls"), identity("eu")),
    controls: [control.address],
    more: { MERIDIAN_THREADS: "2" },
  });
  atEnd(async () => void (await eu.stop()));
  await eu.ready();
  const marks = async () => {
    const { text } = await eu.ops("/metrics");
    const found = text.matchAll(/meridian_path_working\{region="(\w+)"\} (\d)/g);
    return [...found]
      .map(([, region, mark]) => `${region} ${mark}`)
      .sort()
      .join(", ");
  };
  const until = (expected: string) =>
    vi.waitUntil(async () => (await marks()) === expected, { ...deadline, interval: 50 });
  const answered = async () => {
    const url = `http://${eu.address("clients")}/v1/chat/completions`;
    const { headers, status } = await ask(url, { body: { model: "m", messages: [] } });
    return `${status} ${headers["x-meridian-region"]} ${headers["x-meridian-attempts"]}`;
  };
  await until("ap 1, us 1");
  expect(await answered()).toBe("200 us 1");

  near.relay.cut();
  const cutAt = performance.now();
  await until("ap 1, us 0");
  const markedMs = performance.now() - cutAt;
  console.log(`a way that was cut was marked after ${Math.round(markedMs)} ms`);
  expect(markedMs).toBeLessThan(8_000);
  // Without a call of the region that is out of reach.
  expect(await answered()).toBe("200 ap 1");

  near.relay.mend();
  await until("ap 1, us 1");
  expect(await answered()).toBe("200 us 1");
  expect(eu.lines.map((each) => each.msg)).toEqual(
    expect.arrayContaining(["path failing", "path works again"]),
  );
}, 60_000);
