// Slow, broken and oversized uploads: each ends in a proper answer, and nobody else waits for them.

import net from "node:net";
import { expect, test, vi } from "vitest";
import { ask, oneRegion, type Script, useBeds } from "./test-bed.ts";

const { upstream, bed, atEnd } = useBeds();

const chat = JSON.stringify({ model: "m", messages: [] });
const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};

/** A connection on which every byte is ours; resolves with all that came back when the proxy closed it. */
function connect(url: string): { readonly socket: net.Socket; readonly reply: Promise<string> } {
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  atEnd(() => void socket.destroy());
  let text = "";
  socket.on("error", () => undefined);
  socket.on("data", (part) => {
    text += String(part);
  });
  return { socket, reply: new Promise((resolve) => socket.on("close", () => resolve(text))) };
}

const head = (length: number, more = "") =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n${more}\r\n`;

test("an upload that takes too long is answered with 408 and ends, and others went on meanwhile", async () => {
  const { url, finished, server } = await bed({
    document: oneRegion([await upstream(answer)]),
    uploadMs: 400,
  });
  const { socket, reply } = connect(url);
  socket.write(`${head(900)}{`);
  await vi.waitUntil(() => server.stats().live === 1);
  const other = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(other.status).toBe(200);
  const text = await reply;
  expect(text).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  expect(JSON.parse(body).error).toMatchObject({ code: "upload_timeout", param: null });
  await vi.waitUntil(() => finished.length === 2);
  expect(finished[1]).toMatchObject({ ending: "client-gone", outcome: undefined });
  expect(server.stats().live).toBe(0);
});

test.each([
  ["something else than HTTP", "hello\r\n\r\n", 400, "invalid_request"],
  [
    "a head above the limit",
    `${head(2, `x: ${"y".repeat(20_000)}\r\n`)}{}`,
    431,
    "headers_too_large",
  ],
])("%s is answered in OpenAI's shape", async (_, bytes, status, code) => {
  const { url } = await bed({ document: oneRegion([]) });
  const { socket, reply } = connect(url);
  socket.write(bytes);
  const text = await reply;
  expect(text.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
  expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)).error.code).toBe(code);
});

test("broken HTTP while an answer is under way cuts the answer, and writes nothing into it", async () => {
  const token = `data: {"choices":[{"index":0,"delta":{"content":"one"},"finish_reason":null}]}\n\n`;
  const backend = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(token);
  });
  const { url, finished } = await bed({ document: oneRegion([backend]) });
  const { socket, reply } = connect(url);
  const body = JSON.stringify({ model: "m", messages: [], stream: true });
  socket.write(head(body.length) + body);
  await new Promise((resolve) => socket.once("data", resolve));
  socket.write("hello\r\n\r\n");
  const text = await reply;
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text.endsWith(`${token}\r\n`)).toBe(true);
  await vi.waitUntil(() => finished.length === 1);
  expect(finished[0]?.ending).toBe("client-gone");
});

test("the caller's deadline counts from its request's arrival, not from the end of its upload", async () => {
  const { url, finished } = await bed({ document: oneRegion([await upstream(() => undefined)]) });
  const { socket, reply } = connect(url);
  const sentAt = performance.now();
  socket.write(`${head(chat.length, "x-request-timeout-ms: 300\r\nconnection: close\r\n")}{`);
  await vi.waitUntil(() => performance.now() - sentAt > 320);
  socket.write(chat.slice(1));
  expect(await reply).toMatch(/^HTTP\/1\.1 504 /);
  expect(finished[0]?.outcome?.facts.timeoutMs).toBe(1);
});

test.each([false, true])(
  "a prompt of megabytes reaches the model server as it was written (stream: %s)",
  async (stream) => {
    const backend = await upstream(answer);
    const { url } = await bed({ document: oneRegion([backend]), bodyBytesMax: 8_000_000 });
    const messages = [{ role: "user", content: "é".repeat(2_000_000) }];
    const body = { model: "m", stream, messages };
    const reply = await ask(`${url}/v1/chat/completions`, { body });
    expect(reply.status).toBe(200);
    const { headers, body: seen = "" } = backend.seen[0] ?? {};
    expect(JSON.parse(seen)).toMatchObject({ model: "upstream/m", stream });
    expect(JSON.parse(seen).messages[0].content === messages[0]?.content).toBe(true);
    expect(headers?.["content-length"]).toBe(String(Buffer.byteLength(seen)));
  },
);

test("a connection that breaks within a large upload is a failure like any other", async () => {
  let broken = 0;
  const breaker = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      broken += 1;
      socket.resetAndDestroy();
    });
  });
  breaker.listen(0, "127.0.0.1");
  await vi.waitUntil(() => breaker.listening);
  atEnd(() => void breaker.close());
  const address = breaker.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const refusing = await upstream(answer);
  await refusing.close();
  const good = await upstream(answer);
  const document = {
    ...oneRegion([refusing, good]),
    backends: [
      { name: "refuses", region: "eu", url: refusing.url, serves: [{ model: "m" }] },
      { name: "breaks", region: "eu", url: `http://127.0.0.1:${port}`, serves: [{ model: "m" }] },
      { name: "answers", region: "eu", url: good.url, serves: [{ model: "m" }] },
    ],
  };
  const { url, finished } = await bed({ document, bodyBytesMax: 16_000_000 });
  const messages = [{ role: "user", content: "x".repeat(8_000_000) }];
  await vi.waitUntil(
    async () => {
      const body = { model: "m", stream: true, messages };
      const reply = await ask(`${url}/v1/chat/completions`, { body });
      expect(reply).toMatchObject({ status: 200, clean: true });
      return broken > 0;
    },
    { timeout: 10_000, interval: 1 },
  );
  const failures = finished.flatMap((each) => each.outcome?.attempts ?? []);
  expect(failures.map((each) => each.failure?.kind)).toContain("no-answer");
});
