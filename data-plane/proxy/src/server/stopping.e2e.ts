// A stop: live requests end honestly, new ones are sent elsewhere, and nothing is left behind.

import http from "node:http";
import { expect, test, vi } from "vitest";
import { ask, oneRegion, type Script, useBeds } from "./test-bed.ts";

const { upstream, bed, atEnd } = useBeds();

const chat = { model: "m", messages: [] };
const streamed = { ...chat, stream: true };
const token = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n';
const end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

const talking: Script = (_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(token);
};
const silent: Script = () => undefined;

function resources(): { readonly [kind: string]: number } {
  const counts: { [kind: string]: number } = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind.startsWith("TCP") || kind === "TLSWrap") counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

test("after a stop no socket and no server of the proxy is left", async () => {
  const before = resources();
  const backend = await upstream((request, response) => {
    talking(request, response);
    response.end(end);
  });
  const { url, server } = await bed({ document: oneRegion([backend]) });
  const agent = new http.Agent({ keepAlive: true });
  for (let each = 0; each < 3; each++) await ask(`${url}/v1/chat/completions`, { body: streamed });
  backend.script = talking;
  const cut = ask(`${url}/v1/chat/completions`, { body: streamed });
  await vi.waitUntil(() => server.stats().live === 1);
  await vi.waitUntil(() => backend.seen.length === 4);
  await server.close();
  agent.destroy();
  await Promise.all([cut, backend.close()]);
  await vi.waitUntil(() => JSON.stringify(resources()) === JSON.stringify(before), 5_000);
});

test("what a stop cuts is recorded as broken, and what it refuses as refused", async () => {
  const backend = await upstream(talking);
  const { url, server, finished } = await bed({ document: oneRegion([backend]) });
  let received = "";
  const cut = ask(`${url}/v1/chat/completions`, {
    body: streamed,
    onData: (soFar) => {
      received = soFar;
    },
  });
  await vi.waitUntil(() => received !== "");
  backend.script = silent;
  const waiting = ask(`${url}/v1/chat/completions`, { body: chat });
  await vi.waitUntil(() => backend.seen.length === 2);
  await server.close();
  const broken = await cut;
  expect(broken.clean).toBe(false);
  expect(broken.body).toContain('"code":"stream_broken"');
  const refused = await waiting;
  expect(refused).toMatchObject({
    status: 503,
    headers: { connection: "close", "retry-after": "1" },
  });
  expect(finished).toMatchObject([
    { ending: "broken", status: 200, errorCode: "stream_broken" },
    { ending: "refused", status: 503, errorCode: "draining" },
  ]);
  for (const each of backend.seen) await each.closed;
  expect(server.stats()).toMatchObject({ live: 0, report: { backends: [{ inFlight: 0 }] } });
});

test("a drain closes idle connections at once", async () => {
  const backend = await upstream((request, response) => {
    talking(request, response);
    response.end(end);
  });
  const { url, server } = await bed({ document: oneRegion([backend]) });
  const agent = new http.Agent({ keepAlive: true });
  atEnd(() => agent.destroy());
  let isClosed = false;
  await new Promise<void>((resolve, reject) => {
    const options = { agent, method: "POST" };
    const request = http.request(`${url}/v1/chat/completions`, options, (response) => {
      response.resume().on("end", resolve);
    });
    request.on("socket", (socket) => {
      socket.once("close", () => {
        isClosed = true;
      });
    });
    request.on("error", reject).end(JSON.stringify(streamed));
  });
  await vi.waitUntil(() => Object.keys(agent.freeSockets).length === 1);
  await vi.waitUntil(() => server.stats().live === 0);
  expect(isClosed).toBe(false);
  await server.beginDrain();
  await vi.waitUntil(() => isClosed, 5_000);
});
