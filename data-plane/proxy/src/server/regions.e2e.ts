import { hash } from "node:crypto";
import https from "node:https";
import { fixtureFrame } from "@meridian/proto/fixture";
import { beforeAll, expect, test, vi } from "vitest";
import type { PeerTls } from "./index.ts";
import {
  applyPolicy,
  ask,
  type Bed,
  backendOf,
  type FakeUpstream,
  type PolicyDocument,
  type Script,
  useBeds,
} from "./test-bed.ts";
import { createTestAuthority, issueTestTls } from "./test-certificates.ts";

const { upstream, bed, atEnd } = useBeds();

const regions = ["ap", "eu", "us"] as const;
const places = {
  eu: { lat: 53.3, lon: -6.3 },
  us: { lat: 39, lon: -77.5 },
  ap: { lat: 19.1, lon: 72.9 },
} as const;

const identities = new Map<string, PeerTls>();
let operator: PeerTls | undefined;
beforeAll(async () => {
  const authority = await createTestAuthority();
  for (const region of regions) {
    identities.set(region, await issueTestTls(authority, { role: "proxy", region }));
  }
  operator = await issueTestTls(authority, { role: "operator", name: "op" });
});

const chat = { model: "m", messages: [] };
const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};
const fail: Script = (_, response) => void response.writeHead(500).end();

type World = {
  readonly beds: { readonly [K in (typeof regions)[number]]: Bed };
  readonly backends: { readonly [K in (typeof regions)[number]]: FakeUpstream };
};

/** Three regions with one backend each; every proxy knows the others' peer ports. */
async function world(more: PolicyDocument = {}): Promise<World> {
  const backends = {
    ap: await upstream(answer),
    eu: await upstream(answer),
    us: await upstream(answer),
  };
  const start = async (region: string): Promise<Bed> => {
    const peerTls = identities.get(region);
    return bed(peerTls === undefined ? { region } : { region, peerTls });
  };
  const beds = { ap: await start("ap"), eu: await start("eu"), us: await start("us") };
  const document: PolicyDocument = {
    regions: regions.map((name) => ({
      name,
      location: { ...places[name] },
      peers: [`127.0.0.1:${beds[name].peerPort}`],
    })),
    backends: regions.map((region) =>
      backendOf(backends[region], { name: `${region}-a`, region, assistantPrefix: "append" }),
    ),
    models: [{ name: "m", aliases: ["default"] }],
    routes: [{ name: "all", match: { models: ["*"] } }],
    ...more,
  };
  for (const region of regions) {
    applyPolicy(beds[region].engine, beds[region].server, region, document);
  }
  return { beds, backends };
}

test("a request is answered in its own region while that can answer", async () => {
  const { beds, backends } = await world();
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  expect(reply.headers).toMatchObject({ "x-meridian-region": "eu", "x-meridian-backend": "eu-a" });
  expect(backends.us.seen).toHaveLength(0);
});

test("without a local backend the nearest other region answers, in one hop", async () => {
  const { beds, backends } = await world();
  await backends.eu.close();
  const body = { ...chat, model: "default" };
  const headers = { authorization: "Bearer key", "x-request-id": "r1" };
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body, headers });
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.body).model).toBe("default");
  expect(reply.headers).toMatchObject({
    "x-meridian-region": "us",
    "x-meridian-backend": "us-a",
    "x-meridian-attempts": "2",
    "x-request-id": "r1",
  });
  expect(beds.us.finished).toMatchObject([
    { arrivedFrom: "eu", tenant: "anonymous", requestId: "r1" },
  ]);
  expect(backends.us.seen[0]?.headers).not.toHaveProperty("authorization");
  expect(backends.us.seen[0]?.headers).not.toHaveProperty("x-meridian-tenant");
});

test("a region that can't answer refuses in one round trip, and the next one is asked", async () => {
  const { beds, backends } = await world();
  await backends.eu.close();
  await backends.us.close();
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  expect(reply).toMatchObject({ status: 200, headers: { "x-meridian-region": "ap" } });
  expect(beds.us.finished).toMatchObject([{ ending: "refused", status: 503 }]);
});

test("a region whose proxies are gone is passed over", async () => {
  const { beds, backends } = await world();
  await backends.eu.close();
  await beds.us.close();
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  expect(reply).toMatchObject({ status: 200, headers: { "x-meridian-region": "ap" } });
});

test("what came from another region is never sent on", async () => {
  const { beds, backends } = await world();
  for (const region of regions) await backends[region].close();
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  expect(reply.status).toBe(503);
  expect(JSON.parse(reply.body).error.message).toContain("us/region-refused, ap/region-refused");
  const received = [...beds.us.finished, ...beds.ap.finished];
  expect(received.map((each) => each.arrivedFrom)).toEqual(["eu", "eu"]);
});

test("a stream from another region passes through, and its break is a break", async () => {
  const { beds, backends } = await world();
  backends.eu.script = fail;
  backends.us.script = (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(
      'data: {"model":"upstream/m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    );
    setImmediate(() => response.destroy());
  };
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, {
    body: { ...chat, stream: true },
  });
  expect(reply.status).toBe(200);
  expect(reply.clean).toBe(false);
  expect(reply.body).toMatch(/^data: \{"model":"m",.*\}\n\ndata: \{"error":\{.*\}\}\n\n$/);
});

const streamed = { model: "m", messages: [{ role: "user", content: "hi" }], stream: true };
const event = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ model: "upstream/m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

/** Goes on from what the request's last message says already. */
const goesOn: Script = ({ body }, response) => {
  const said = JSON.parse(body).messages.at(-1);
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(event({ role: "assistant", content: "" }));
  response.write(event({ content: said.role === "assistant" ? `[${said.content}]` : "whole" }));
  response.end(`${event({}, "stop")}data: [DONE]\n\n`);
};
const dies: Script = (_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(event({ content: "one " }), () => response.destroy());
};

test("a stream whose backend dies goes on from another region, which is told and goes no further", async () => {
  const { beds, backends } = await world({ models: [{ name: "m", continueStreams: true }] });
  backends.eu.script = dies;
  backends.us.script = fail;
  backends.ap.script = goesOn;
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body: streamed });
  expect(reply).toMatchObject({ status: 200, clean: true });
  expect(reply.body).toContain('"content":"one "');
  expect(reply.body).toContain('"content":"[one ]"');
  expect(reply.body).toContain(": meridian: continued on ap after reset\n");
  expect(reply.body).not.toContain("upstream/m");
  const roles = beds.eu.finished[0]?.outcome?.attempts.map(
    (each) => `${each.role} ${each.outcome}`,
  );
  expect(roles).toEqual(["first failed", "continuation failed", "continuation complete"]);
  expect(beds.ap.finished).toMatchObject([
    { arrivedFrom: "eu", outcome: { facts: { isContinuation: true } } },
  ]);
  expect(backends.ap.seen[0]?.headers).not.toHaveProperty("x-meridian-continues");
});

test("a broken stream does not go on in a region that residency excludes", async () => {
  const { beds, backends } = await world({
    models: [{ name: "m", continueStreams: true }],
    tenants: [{ name: "acme", keys: [{ sha256: hash("sha256", "k", "hex") }], residency: ["eu"] }],
  });
  backends.eu.script = dies;
  const headers = { authorization: "Bearer k" };
  const reply = await ask(`${beds.eu.url}/v1/chat/completions`, { body: streamed, headers });
  expect(reply.clean).toBe(false);
  expect(beds.eu.finished).toMatchObject([{ ending: "broken" }]);
  expect(backends.us.seen.length + backends.ap.seen.length).toBe(0);
});

test("a client's own word that it continues something is not taken", async () => {
  const { beds, backends } = await world();
  const headers = { "x-meridian-continues": "1", "x-meridian-tenant": "acme" };
  await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat, headers });
  expect(beds.eu.finished).toMatchObject([
    { tenant: "anonymous", outcome: { facts: { isContinuation: false } } },
  ]);
  expect(backends.eu.seen).toHaveLength(1);
});

test.each([
  ["x-request-timeout-ms", "5000"],
  ["grpc-timeout", "5S"],
])("what is left of a deadline given by %s goes to the other region", async (name, value) => {
  const { beds, backends } = await world();
  backends.eu.script = (_, response) => {
    setTimeout(() => response.writeHead(500).end(), 50);
  };
  await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat, headers: { [name]: value } });
  const left = beds.us.finished[0]?.outcome?.facts.timeoutMs ?? 0;
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(4_960);
  expect(backends.us.seen[0]?.headers).not.toHaveProperty("x-request-timeout-ms");
});

test("without a caller's deadline the other region is told the route's", async () => {
  const { beds, backends } = await world({
    routes: [{ name: "all", match: { models: ["*"] }, timeouts: { totalMs: 30_000 } }],
  });
  backends.eu.script = fail;
  await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  const left = beds.us.finished[0]?.outcome?.facts.timeoutMs ?? 0;
  expect(left).toBeGreaterThan(20_000);
  expect(left).toBeLessThanOrEqual(30_000);
});

test("a client that leaves ends its request in the other region, too", async () => {
  const { beds, backends } = await world();
  backends.eu.script = fail;
  backends.us.script = () => {
    // Never answers.
  };
  const reply = ask(`${beds.eu.url}/v1/chat/completions`, {
    body: chat,
    onSent: (request) => {
      vi.waitFor(() => expect(backends.us.seen).toHaveLength(1)).then(
        () => request.destroy(),
        expect.fail,
      );
    },
  });
  await expect(reply).rejects.toThrow("socket hang up");
  await backends.us.seen[0]?.closed;
  await vi.waitFor(() => expect(beds.us.finished).toMatchObject([{ ending: "client-gone" }]));
});

test("residency keeps a request from regions that it excludes, even when nobody else is there", async () => {
  const { beds, backends } = await world({
    tenants: [
      { name: "acme", keys: [{ sha256: hash("sha256", "k", "hex") }], residency: ["eu", "ap"] },
    ],
  });
  await backends.eu.close();
  const headers = { authorization: "Bearer k" };
  const first = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat, headers });
  expect(first).toMatchObject({ status: 200, headers: { "x-meridian-region": "ap" } });
  await backends.ap.close();
  const second = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat, headers });
  expect(second.status).toBe(503);
  const elsewhere = await ask(`${beds.us.url}/v1/chat/completions`, { body: chat, headers });
  expect(elsewhere.status).toBe(503);
  expect(backends.us.seen).toHaveLength(0);
});

test("a drained region sends its requests to the next one, and takes them when nobody else does", async () => {
  const { beds, backends } = await world();
  const frame = fixtureFrame({
    regions: [{ name: "eu", draining: true, drainLeftMs: 60_000 }, { name: "us" }, { name: "ap" }],
  });
  beds.eu.engine.apply({ kind: "state", frame }, performance.now());
  const away = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  expect(away.headers["x-meridian-region"]).toBe("us");
  await Promise.all([backends.us.close(), backends.ap.close()]);
  const home = await ask(`${beds.eu.url}/v1/chat/completions`, { body: chat });
  expect(home).toMatchObject({ status: 200, headers: { "x-meridian-region": "eu" } });
});

test("the peers' port takes certificates of proxies alone", async () => {
  const { beds } = await world();
  const call = (tls: PeerTls | undefined): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { ...tls, method: "HEAD", agent: false } as const;
      const request = https.request(
        `https://127.0.0.1:${beds.us.peerPort}/`,
        options,
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      request.on("error", reject);
      request.end();
      atEnd(() => void request.destroy());
    });
  expect(await call(identities.get("eu"))).toBe(200);
  expect(await call(operator)).toBe(403);
  const stranger = await createTestAuthority();
  const forged = await issueTestTls(stranger, { role: "proxy", region: "eu" });
  const ca = identities.get("eu")?.ca ?? Buffer.alloc(0);
  await expect(call({ ...forged, ca })).rejects.toThrow();
});
