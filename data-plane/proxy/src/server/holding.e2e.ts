// Requests that wait at the proxy for a place at a model server, and those that another region refuses for its queue.

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import https from "node:https";
import type { Engine, RequestFacts } from "@meridian/data-core/engine";
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

const { upstream, bed } = useBeds();

const chat = { model: "m", messages: [{ role: "user", content: "hi" }] };
const body = '{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}';

const identities = new Map<string, PeerTls>();
beforeAll(async () => {
  const authority = await createTestAuthority();
  for (const region of ["eu", "us"]) {
    identities.set(region, await issueTestTls(authority, { role: "proxy", region }));
  }
});

function end(response: ServerResponse | undefined): void {
  response?.writeHead(200, { "content-type": "application/json" });
  response?.end(body);
}

/** A model server whose answers wait until the test lets them go, in the order in which they were asked for. */
async function slowServer(): Promise<{ server: FakeUpstream; open: ServerResponse[] }> {
  const open: ServerResponse[] = [];
  const script: Script = (_, response) => void open.push(response);
  return { server: await upstream(script), open };
}

/** One region, one request at a time. Requests may wait long: the objective is far. */
async function narrow(): Promise<{ eu: Bed; server: FakeUpstream; open: ServerResponse[] }> {
  const { server, open } = await slowServer();
  const document: PolicyDocument = {
    regions: [{ name: "eu" }],
    backends: [{ ...backendOf(server, { name: "a", region: "eu" }), capacity: { concurrency: 1 } }],
    models: [{ name: "m" }],
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
  return { eu: await bed({ document }), server, open };
}

const facts: RequestFacts = {
  requestId: "taught",
  tenant: "anonymous",
  kind: "chat",
  model: "m",
  stream: false,
  inputTokens: 10,
  outputTokensMax: 10,
  arrivedFrom: undefined,
  timeoutMs: undefined,
  continuable: false,
  isContinuation: false,
  protocol: "openai",
  path: "/v1/chat/completions",
  headers: {},
  prefix: [],
};

const until = (isSo: () => boolean): Promise<unknown> => vi.waitUntil(isSo, 15_000);
const held = (of: Bed): number => of.engine.report(performance.now()).pools[0]?.held ?? 0;

test("a request waits while the model server has no place, goes on as soon as it has, and tells how long it waited", async () => {
  const { eu, server, open } = await narrow();
  const url = `${eu.url}/v1/chat/completions`;
  const first = ask(url, { body: chat });
  await until(() => server.seen.length === 1);
  const second = ask(url, { body: chat });
  await until(() => held(eu) === 1);
  expect(server.seen).toHaveLength(1);
  end(open[0]);
  expect((await first).headers["server-timing"]).not.toContain("queue");
  await until(() => server.seen.length === 2);
  end(open[1]);
  const reply = await second;
  expect(reply.status).toBe(200);
  expect(reply.headers["server-timing"]).toMatch(/queue;dur=\d+\.\d/);
  const [one, two] = eu.finished;
  expect(one?.heldMs).toBe(0);
  expect(two?.heldMs).toBeGreaterThan(0);
  expect(held(eu)).toBe(0);
});

test("those who wait go in the order in which they came", async () => {
  const { eu, server, open } = await narrow();
  const url = `${eu.url}/v1/chat/completions`;
  const replies = [ask(url, { body: chat })];
  await until(() => server.seen.length === 1);
  for (const name of ["r1", "r2", "r3"]) {
    replies.push(ask(url, { body: chat, headers: { "x-request-id": name } }));
    await until(() => held(eu) === replies.length - 1);
  }
  for (let each = 0; each < 4; each++) {
    await until(() => open.length === each + 1);
    end(open[each]);
  }
  await Promise.all(replies);
  const names = server.seen.map((each) => each.headers["x-request-id"]);
  expect(names.slice(1)).toEqual(["r1", "r2", "r3"]);
});

test("a client that leaves while it waits is forgotten, and was sent to nobody", async () => {
  const { eu, server } = await narrow();
  const url = `${eu.url}/v1/chat/completions`;
  const first = ask(url, { body: chat }).catch(() => undefined);
  await until(() => server.seen.length === 1);
  const left = ask(url, {
    body: chat,
    onSent: (request) => {
      vi.waitFor(() => expect(held(eu)).toBe(1)).then(() => request.destroy(), expect.fail);
    },
  });
  await expect(left).rejects.toThrow("socket hang up");
  await vi.waitFor(() => expect(eu.finished).toMatchObject([{ ending: "client-gone" }]));
  expect(held(eu)).toBe(0);
  expect(server.seen).toHaveLength(1);
  await eu.server.close();
  await first;
});

test("a stop ends those who wait with a refusal", async () => {
  const { eu, server } = await narrow();
  const url = `${eu.url}/v1/chat/completions`;
  const first = ask(url, { body: chat }).catch(() => undefined);
  await until(() => server.seen.length === 1);
  const second = ask(url, { body: chat });
  await until(() => held(eu) === 1);
  await eu.server.close();
  expect(await second).toMatchObject({ status: 503 });
  await first;
});

/** One call that took so long, told to the engine alone. */
function teach(engine: Engine, ms: number): void {
  const now = performance.now();
  const attempts = engine.begin(facts, now);
  attempts.step({ kind: "start" }, now);
  attempts.step({ kind: "complete", attempt: 1 }, now + ms);
}

/** Two regions, each with one place; in `eu` a first token is promised at once. */
async function pair() {
  const [here, there] = [await slowServer(), await slowServer()];
  const start = async (region: string): Promise<Bed> => {
    const peerTls = identities.get(region);
    return bed(peerTls === undefined ? { region } : { region, peerTls });
  };
  const [eu, us] = [await start("eu"), await start("us")];
  const server = { eu: here.server, us: there.server };
  const names = ["eu", "us"] as const;
  // A busy machine is no reason to go elsewhere.
  const timeouts = { connectMs: 20_000, firstTokenMs: 60_000 };
  const document: PolicyDocument = {
    regions: names.map((name) => ({
      name,
      location: { lat: 50, lon: name === "eu" ? 0 : 1 },
      peers: [`127.0.0.1:${name === "eu" ? eu.peerPort : us.peerPort}`],
    })),
    backends: names.map((region) => ({
      ...backendOf(server[region], { name: `${region}-a`, region }),
      capacity: { concurrency: 1 },
    })),
    models: [{ name: "m" }],
    routes: [{ name: "all", match: { models: ["*"] }, objective: { firstTokenMs: 1 }, timeouts }],
  };
  applyPolicy(eu.engine, eu.server, "eu", document);
  applyPolicy(us.engine, us.server, "us", document);
  /** Calls took two seconds so far, and one is under way in `eu`. */
  const fill = async (): Promise<void> => {
    for (const { engine } of [eu, us]) teach(engine, 2_000);
    void ask(`${eu.url}/v1/chat/completions`, { body: chat }).catch(() => undefined);
    await until(() => here.server.seen.length === 1);
  };
  return { eu, us, here, there, fill };
}

test("a request that would wait too long goes to the other region, which has room", async () => {
  const { eu, us, there, fill } = await pair();
  await fill();
  const reply = ask(`${eu.url}/v1/chat/completions`, { body: chat });
  await until(() => there.server.seen.length === 1);
  end(there.open[0]);
  expect((await reply).headers).toMatchObject({ "x-meridian-region": "us" });
  expect(us.finished.at(-1)).toMatchObject({ arrivedFrom: "eu" });
});

test("a region that is full refuses on arrival, and the request waits at home", async () => {
  const { eu, us, here, there, fill } = await pair();
  await fill();
  const occupying = ask(`${us.url}/v1/chat/completions`, { body: chat });
  await until(() => there.server.seen.length === 1);
  const reply = ask(`${eu.url}/v1/chat/completions`, { body: chat });
  await until(() => held(eu) === 1);
  expect(us.finished.at(-1)).toMatchObject({
    arrivedFrom: "eu",
    status: 503,
    errorCode: "region_full",
    outcome: undefined,
  });
  end(here.open[0]);
  await until(() => here.server.seen.length === 2);
  end(here.open[1]);
  expect((await reply).headers).toMatchObject({ "x-meridian-region": "eu" });
  expect(there.server.seen).toHaveLength(1);
  const calls = eu.finished.find((each) => each.heldMs > 0)?.outcome?.attempts ?? [];
  expect(calls.map((each) => each.failure?.kind)).toEqual(["region-refused", undefined]);
  expect(calls[0]?.failure?.retryAfterMs).toBeGreaterThan(0);
  end(there.open[0]);
  await occupying;
});

/** What the peers' port of `us` answers to the head of a request whose body never comes. */
function askHead(us: Bed, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = https.request(`https://127.0.0.1:${us.peerPort}/v1/chat/completions`, {
      ...identities.get("eu"),
      method: "POST",
      headers: { "content-type": "application/json", "content-length": 900_000, ...headers },
      agent: false,
    });
    request.on("response", (response) => {
      resolve(response);
      request.destroy();
    });
    request.on("error", reject);
    request.flushHeaders();
  });
}

test("the refusal does not wait for the body", async () => {
  const { us, there } = await pair();
  const occupying = ask(`${us.url}/v1/chat/completions`, { body: chat });
  await until(() => there.server.seen.length === 1);
  const { statusCode, headers } = await askHead(us, {
    "x-meridian-tenant": "anonymous",
    "x-meridian-model": "m",
    "x-meridian-tokens": "200000",
    "x-meridian-queue-max-ms": "20",
  });
  expect(statusCode).toBe(503);
  expect(headers).toMatchObject({ "x-meridian-refusal": "full", "x-meridian-queue-ms": "500" });
  end(there.open[0]);
  await occupying;
});
