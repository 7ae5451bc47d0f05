// Streams that break after their first token and go on elsewhere; hedged requests; whole answers that become streams;
// what is told of time and decisions.

import type { ServerResponse } from "node:http";
import net from "node:net";
import { expect, test, vi } from "vitest";
import {
  ask,
  type FakeUpstream,
  type JsonLike,
  type PolicyDocument,
  type Script,
  useBeds,
} from "./test-bed.ts";

const { upstream, bed, atEnd } = useBeds();

const streamed = { model: "m", messages: [{ role: "user", content: "hi" }], stream: true };
const words = ["Eins ", "zwei ", "drei ", "vier ", "fünf"];

function chunk(id: string, delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id, created: 1, model: "upstream/m", choices })}\n\n`;
}

function openStream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
}

/** Says the words that are not in the request's last message yet, up to a point, and ends or breaks off there. */
function speaker(id: string, until: number, end: (response: ServerResponse) => void): Script {
  return ({ body }, response) => {
    const { messages } = JSON.parse(body) as { messages: { role: string; content: string }[] };
    const last = messages.at(-1);
    const said = last?.role === "assistant" ? last.content : "";
    openStream(response);
    response.write(chunk(id, { role: "assistant", content: "" }));
    let text = "";
    for (const word of words.slice(0, until)) {
      text += word;
      if (text.length > said.length) response.write(chunk(id, { content: word }));
    }
    end(response);
  };
}

const finish = (response: ServerResponse): void => {
  response.end(`${chunk("x", {}, "stop")}data: [DONE]\n\n`);
};
const breaks: { readonly [name: string]: (response: ServerResponse) => void } = {
  "is reset": (response) => void setImmediate(() => response.destroy()),
  "ends too soon": (response) => void response.end(),
  "reports an error": (response) => void response.end('data: {"error":{"message":"OOM"}}\n\n'),
  "sends nonsense": (response) => void response.end("data: {nonsense\n\n"),
  stalls: () => undefined,
};

function policy(
  backends: readonly FakeUpstream[],
  more: { readonly [name: string]: JsonLike } = {},
): PolicyDocument {
  return {
    regions: [{ name: "eu" }],
    backends: backends.map((each, place) => ({
      name: `b${place}`,
      region: "eu",
      url: each.url,
      serves: [{ model: "m", as: "upstream/m" }],
      assistantPrefix: "append",
    })),
    models: [{ name: "m", continueStreams: true }],
    routes: [{ name: "all", timeouts: { betweenTokensMs: 200 }, ...more }],
  };
}

function textOf(body: string): string {
  return body
    .split("\n\n")
    .filter((each) => each.startsWith("data: {"))
    .map((each) => JSON.parse(each.slice(6)).choices?.[0]?.delta?.content ?? "")
    .join("");
}

/** The first backend to be asked breaks, the other goes on. */
async function pair(until: number, end: (response: ServerResponse) => void) {
  let asked = 0;
  const script: Script = (request, response) => {
    asked += 1;
    if (asked === 1) speaker("first", until, end)(request, response);
    else speaker("second", words.length, finish)(request, response);
  };
  return [await upstream(script), await upstream(script)] as const;
}

test.each(Object.entries(breaks))(
  "a stream that %s goes on from another backend, whole",
  async (_, end) => {
    const backends = await pair(2, end);
    const { url, finished } = await bed({ document: policy(backends) });
    const reply = await ask(`${url}/v1/chat/completions`, { body: streamed });
    expect(reply.clean).toBe(true);
    expect(textOf(reply.body)).toBe(words.join(""));
    expect(reply.body.match(/^: meridian: continued on b\d after /gm)).toHaveLength(1);
    expect(reply.body.match(/"role"/g)).toHaveLength(1);
    expect(reply.body).not.toContain('"id":"second"');
    expect(finished[0]).toMatchObject({ ending: "complete", errorCode: undefined });
    const roles = finished[0]?.outcome?.attempts.map((each) => `${each.role} ${each.outcome}`);
    expect(roles).toEqual(["first failed", "continuation complete"]);
  },
);

test("without the policy's word, or where nobody else can, it ends with the error", async () => {
  const backends = await pair(2, (response) => void response.end());
  const document = { ...policy(backends), models: [{ name: "m" }] };
  const without = await bed({ document });
  const reply = await ask(`${without.url}/v1/chat/completions`, { body: streamed });
  expect(reply.clean).toBe(false);
  expect(reply.body).toContain('"code":"stream_broken"');
  const alone = await bed({
    document: policy([await upstream(speaker("first", 2, (response) => void response.end()))]),
  });
  const other = await ask(`${alone.url}/v1/chat/completions`, { body: streamed });
  expect(other.clean).toBe(false);
  expect(textOf(other.body)).toBe(words.slice(0, 2).join(""));
  expect(alone.finished[0]).toMatchObject({ ending: "broken", errorCode: "stream_broken" });
});

test("structure is not gone on with", async () => {
  const backends = await pair(2, (response) => void response.end());
  const { url, finished } = await bed({ document: policy(backends) });
  const body = { ...streamed, response_format: { type: "json_object" } };
  const reply = await ask(`${url}/v1/chat/completions`, { body });
  expect(reply.clean).toBe(false);
  expect(finished[0]?.ending).toBe("broken");
});

test("a hedge answers where the first backend is late, and the loser is cancelled", async () => {
  const quick = speaker("quick", words.length, finish);
  const backends = [await upstream(quick), await upstream(quick)];
  const { url, finished } = await bed({
    document: policy(backends, { hedge: { minMs: 1, budgetPercent: 50 } }),
  });
  for (let each = 0; each < 80; each++) await ask(`${url}/v1/chat/completions`, { body: streamed });
  // From now on one of both says nothing.
  const [slow, good] = backends;
  if (slow === undefined || good === undefined) throw new Error("there are two");
  slow.script = () => undefined;
  await vi.waitUntil(
    async () => {
      const reply = await ask(`${url}/v1/chat/completions`, { body: streamed });
      expect(textOf(reply.body)).toBe(words.join(""));
      return reply.headers["x-meridian-attempts"] === "2";
    },
    { timeout: 10_000, interval: 1 },
  );
  await slow.seen.at(-1)?.closed;
  const attempts = finished.at(-1)?.outcome?.attempts.map((each) => `${each.role} ${each.outcome}`);
  expect(attempts).toEqual(["first cancelled", "hedge complete"]);
  expect(finished.at(-1)?.outcome?.usage.exact).toBe(false);
});

test("a whole answer to a request for a stream becomes the stream", async () => {
  const backend = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const message = { role: "assistant", content: "ganz" };
    const usage = { prompt_tokens: 4, completion_tokens: 1 };
    response.end(JSON.stringify({ id: "1", choices: [{ index: 0, message }], usage }));
  });
  const { url, finished } = await bed({ document: policy([backend]) });
  const reply = await ask(`${url}/v1/chat/completions`, { body: streamed });
  expect(reply).toMatchObject({ status: 200, clean: true });
  expect(reply.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  expect(textOf(reply.body)).toBe("ganz");
  expect(reply.body.endsWith("data: [DONE]\n\n")).toBe(true);
  expect(finished[0]?.outcome?.usage).toEqual({ inputTokens: 4, outputTokens: 1, exact: true });
});

test("usage is asked for, settled, and kept from a client that did not ask", async () => {
  const backend = await upstream(({ body }, response) => {
    openStream(response);
    const isAsked = JSON.parse(body).stream_options?.include_usage === true;
    const usage = '{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}';
    response.write(chunk("1", { content: "a" }) + chunk("1", {}, "stop"));
    response.end(`${isAsked ? `data: ${usage}\n\n` : ""}data: [DONE]\n\n`);
  });
  const { url, finished } = await bed({ document: policy([backend]) });
  const reply = await ask(`${url}/v1/chat/completions`, { body: streamed });
  expect(reply.body).not.toContain("usage");
  expect(finished[0]?.outcome?.usage).toEqual({ inputTokens: 7, outputTokens: 1, exact: true });
});

test("each answer tells its own time, the model server's, and its decision", async () => {
  const backend = await upstream((request, response) => {
    setTimeout(() => speaker("1", words.length, finish)(request, response), 60);
  });
  const { url, finished } = await bed({ document: policy([backend]) });
  const reply = await ask(`${url}/v1/chat/completions`, {
    body: streamed,
    headers: { "x-request-id": "mine" },
  });
  const told = String(reply.headers["server-timing"]);
  const [, own = "", waited = ""] =
    /^meridian;dur=([\d.]+);desc="own", upstream;dur=([\d.]+)$/.exec(told) ?? [];
  expect(Number(waited)).toBeGreaterThan(55);
  expect(Number(own)).toBeGreaterThan(0);
  expect(Number(own)).toBeLessThan(50);
  expect(reply.headers["x-request-id"]).toBe("mine");
  expect(reply.headers["x-meridian-decision"]).toBe(finished[0]?.decisionId);
  expect(finished[0]?.decisionId).not.toBe("mine");
  const refused = await ask(`${url}/v1/chat/completions`, { body: { ...streamed, model: "x" } });
  expect(refused.headers["server-timing"]).toMatch(/^meridian;dur=[\d.]+;desc="own"$/);
  expect(finished[1]).toMatchObject({ errorCode: "model_not_found", ending: "refused" });
});

test("a connection that its server closes as the request is sent is replaced, without an attempt", async () => {
  // Answers once on each connection, then closes it as soon as something more comes in.
  const answer = JSON.stringify({ choices: [{ index: 0, message: { content: "x" } }] });
  let connections = 0;
  const server = net.createServer((socket) => {
    connections += 1;
    let requests = 0;
    socket.on("error", () => undefined);
    socket.on("data", (part) => {
      // Head and body may come apart.
      if (!part.includes("POST ")) return;
      requests += 1;
      if (requests > 1) socket.end();
      else {
        socket.write(
          `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`,
        );
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await vi.waitUntil(() => server.listening);
  atEnd(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const document: PolicyDocument = {
    ...policy([]),
    backends: [
      { name: "b0", region: "eu", url: `http://127.0.0.1:${port}`, serves: [{ model: "m" }] },
    ],
  };
  const { url, finished } = await bed({ document });
  for (let each = 0; each < 6; each++) {
    const reply = await ask(`${url}/v1/chat/completions`, { body: { ...streamed, stream: false } });
    expect(reply.body).toContain("choices");
    expect(reply.headers["x-meridian-attempts"]).toBe("1");
  }
  expect(finished.every((each) => each.ending === "complete")).toBe(true);
  expect(connections).toBeGreaterThan(1);
});

test("a server that breaks at its work on a connection that was used before is not asked the same again", async () => {
  const whole = JSON.stringify({ choices: [{ index: 0, message: { content: "x" } }] });
  const answer: Script = (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(whole);
  };
  const broken = await upstream(answer);
  const { url, finished } = await bed({ document: policy([broken]) });
  const body = { ...streamed, stream: false };
  expect((await ask(`${url}/v1/chat/completions`, { body })).status).toBe(200);
  // As a process that dies ends its connections.
  broken.script = (_, response) => void setTimeout(() => response.socket?.end(), 400);
  const reply = await ask(`${url}/v1/chat/completions`, { body });
  expect(reply.status).toBe(503);
  expect(broken.seen).toHaveLength(2);
  expect(finished[1]?.outcome?.attempts).toMatchObject([{ failure: { kind: "no-answer" } }]);
});
