// A client that leaves: whatever the request is at, its model server hears of it within 100 ms, and it is settled once.

import http from "node:http";
import net from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { expect, test, vi } from "vitest";
import {
  type FakeUpstream,
  oneRegion,
  type PolicyDocument,
  type Script,
  useBeds,
} from "./test-bed.ts";

const { upstream, bed, atEnd } = useBeds();

const messages = [{ role: "user", content: "hi" }];
const streamed = JSON.stringify({ model: "m", messages, stream: true });
const chunk = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;

const silent: Script = () => undefined;
const head: Script = (_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
};
const talking: Script = (request, response) => {
  head(request, response);
  response.write(chunk("a"));
};
/** More than all buffers between hold, to a client that reads nothing. */
const flooding: Script = (request, response) => {
  head(request, response);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk("x".repeat(10_000))));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
};

/** Sends a request and gives the means to leave; what comes back is read only if asked for. */
function open(url: string, reads: boolean): http.ClientRequest {
  const request = http.request(`${url}/v1/chat/completions`, { method: "POST", agent: false });
  request.on("error", () => undefined);
  request.on("response", (response) => {
    response.on("error", () => undefined);
    if (reads) response.resume();
    else response.pause();
  });
  request.end(streamed);
  atEnd(() => void request.destroy());
  return request;
}

/** Milliseconds, without those in which this process, that is client, proxy and model server, stood still itself. */
async function closedWithin(backend: FakeUpstream, since: number): Promise<number> {
  const standstill = monitorEventLoopDelay({ resolution: 5 });
  standstill.enable();
  await backend.seen.at(-1)?.closed;
  standstill.disable();
  return performance.now() - since - standstill.max / 1e6;
}

const wait = { timeout: 5_000, interval: 5 };

test.each<[string, Script, (backend: FakeUpstream) => boolean]>([
  ["before the head", silent, (backend) => backend.seen.length > 0],
  ["before the first token", head, (backend) => backend.seen.length > 0],
  ["in mid-stream", talking, (backend) => backend.seen.length > 0],
])("%s", async (_, script, isReached) => {
  const backend = await upstream(script);
  const { url, finished, server } = await bed({ document: oneRegion([backend]) });
  const request = open(url, true);
  await vi.waitUntil(() => isReached(backend), wait);
  const leftAt = performance.now();
  request.destroy();
  expect(await closedWithin(backend, leftAt)).toBeLessThan(100);
  await vi.waitUntil(() => finished.length > 0, wait);
  expect(finished).toMatchObject([{ ending: "client-gone", status: 499 }]);
  expect(server.stats()).toMatchObject({ live: 0 });
  expect(server.stats().report.backends[0]).toMatchObject({ inFlight: 0, failed: 0 });
});

test("while it reads nothing", async () => {
  const backend = await upstream(flooding);
  const { url, finished } = await bed({ document: oneRegion([backend]) });
  const request = open(url, false);
  await vi.waitUntil(() => backend.seen.length > 0, wait);
  // The stream stands still: the proxy waits for its client.
  const stalled = () => new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 200; turn++) await stalled();
  const leftAt = performance.now();
  request.destroy();
  expect(await closedWithin(backend, leftAt)).toBeLessThan(100);
  await vi.waitUntil(() => finished.length > 0, wait);
  expect(finished[0]?.ending).toBe("client-gone");
});

test("while it uploads: no model server ever sees the request", async () => {
  const backend = await upstream(talking);
  const { url, finished, server } = await bed({ document: oneRegion([backend]) });
  const request = http.request(`${url}/v1/chat/completions`, {
    method: "POST",
    agent: false,
    headers: { "content-length": 10_000 },
  });
  request.on("error", () => undefined);
  request.write(streamed);
  await vi.waitUntil(() => server.stats().live === 1, wait);
  request.destroy();
  await vi.waitUntil(() => finished.length > 0, wait);
  expect(finished[0]?.ending).toBe("client-gone");
  expect(backend.seen).toHaveLength(0);
  expect(server.stats().live).toBe(0);
});

test("while a connection is sought: none is made later", async () => {
  // Takes the connection and never says a word of the handshake.
  const mute = net.createServer((socket) => void socket.on("error", () => undefined));
  mute.listen(0, "127.0.0.1");
  await vi.waitUntil(() => mute.listening, wait);
  atEnd(() => void mute.close());
  const address = mute.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const document: PolicyDocument = {
    ...oneRegion([]),
    backends: [
      { name: "b0", region: "eu", url: `https://127.0.0.1:${port}`, serves: [{ model: "m" }] },
    ],
  };
  const { url, finished, server } = await bed({ document });
  const request = open(url, true);
  await vi.waitUntil(() => server.stats().report.backends[0]?.inFlight === 1, wait);
  request.destroy();
  await vi.waitUntil(() => finished.length > 0, wait);
  expect(finished[0]?.ending).toBe("client-gone");
  expect(server.stats().report.backends[0]).toMatchObject({ inFlight: 0, failed: 0 });
});

test("while a hedge runs: both model servers hear of it", async () => {
  const backends = [await upstream(talkAndEnd), await upstream(talkAndEnd)];
  const { url, finished } = await bed({
    document: oneRegion(backends, { hedge: { minMs: 1, budgetPercent: 50 } }),
  });
  // Enough requests that it is known how long a first token usually takes.
  for (let each = 0; each < 80; each++) await completed(url);
  for (const each of backends) each.script = silent;
  const before = backends.map((each) => each.seen.length);
  const request = open(url, true);
  await vi.waitUntil(
    () => backends.every((each, place) => each.seen.length > (before[place] ?? 0)),
    wait,
  );
  const leftAt = performance.now();
  request.destroy();
  for (const each of backends) expect(await closedWithin(each, leftAt)).toBeLessThan(100);
  await vi.waitUntil(() => finished.at(-1)?.ending === "client-gone", wait);
  const roles = finished.at(-1)?.outcome?.attempts.map((each) => each.role);
  expect(roles).toEqual(["first", "hedge"]);
});

const talkAndEnd: Script = (request, response) => {
  talking(request, response);
  response.end(
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  );
};

function completed(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}/v1/chat/completions`, { method: "POST", agent: false });
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      response.on("end", resolve);
    });
    request.end(streamed);
  });
}

test("while a retry is put off: no other model server is asked", async () => {
  const failing: Script = (_, response) => void response.writeHead(500).end();
  const backends = await Promise.all(Array.from({ length: 9 }, () => upstream(failing)));
  const asked = () => backends.reduce((sum, each) => sum + each.seen.length, 0);
  const document = oneRegion(backends, { retry: { attempts: 9 } });
  const { url, finished, server } = await bed({ document });
  const request = open(url, true);
  // From the second retry on each waits, on average twice as long as the one before.
  await vi.waitUntil(() => asked() >= 5, wait);
  request.destroy();
  await vi.waitUntil(() => finished.length > 0, wait);
  expect(finished[0]?.ending).toBe("client-gone");
  const attempts = finished[0]?.outcome?.attempts ?? [];
  expect(attempts.every((each) => each.outcome !== "running")).toBe(true);
  expect(attempts.length).toBeLessThan(9);
  expect(server.stats()).toMatchObject({ live: 0 });
});

test("while another backend is asked to go on with a broken stream", async () => {
  const backends = [await upstream(silent), await upstream(silent)];
  const [first, second] = backends;
  if (first === undefined || second === undefined) throw new Error("there are two");
  let asked = 0;
  const script: Script = (request, response) => {
    asked += 1;
    if (asked > 1) return;
    talking(request, response);
    setImmediate(() => response.destroy());
  };
  for (const each of backends) each.script = script;
  const one = oneRegion(backends);
  const document: PolicyDocument = {
    ...one,
    backends: backends.map((each, place) => ({
      name: `b${place}`,
      region: "eu",
      url: each.url,
      serves: [{ model: "m" }],
      assistantPrefix: "append",
    })),
    models: [{ name: "m", continueStreams: true }],
  };
  const { url, finished } = await bed({ document });
  const request = open(url, true);
  await vi.waitUntil(() => asked === 2, wait);
  const leftAt = performance.now();
  request.destroy();
  for (const each of backends) expect(await closedWithin(each, leftAt)).toBeLessThan(100);
  await vi.waitUntil(() => finished.length > 0, wait);
  const attempts = finished[0]?.outcome?.attempts.map((each) => `${each.role} ${each.outcome}`);
  expect(attempts).toEqual(["first failed", "continuation cancelled"]);
  expect(finished[0]).toMatchObject({
    ending: "client-gone",
    outcome: { usage: { outputTokens: 1, exact: false } },
  });
});
