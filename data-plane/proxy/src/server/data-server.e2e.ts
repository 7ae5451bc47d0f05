import type { ServerResponse } from "node:http";
import { expect, test, vi } from "vitest";
import { ask, oneRegion, type Script, useBeds } from "./test-bed.ts";

const { upstream, bed } = useBeds();

const chat = { model: "m", messages: [{ role: "user", content: "hi" }] };
const streamed = { ...chat, stream: true };

function answerWhole(_: unknown, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(
    JSON.stringify({
      id: "1",
      model: "upstream/m",
      choices: [
        { index: 0, message: { role: "assistant", content: "héllo" }, finish_reason: "stop" },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 2 },
    }),
  );
}

function chunk(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: "1", model: "upstream/m", choices })}\n\n`;
}

const role = chunk({ role: "assistant", content: "" });
const [one, two] = [chunk({ content: "one" }), chunk({ content: "two" })];
const whole = `${role}${one}${two}${chunk({}, "stop")}data: [DONE]\n\n`;
const shown = whole.replaceAll("upstream/m", "m");

function openStream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
}

const answerStream: Script = (_, response) => {
  openStream(response);
  response.end(whole);
};

test("an answer passes through with the client's name of the model and nothing else changed", async () => {
  const backend = await upstream(answerWhole);
  const { url, finished } = await bed({ document: oneRegion([backend]) });
  const body = '{"model": "default","seed":9007199254740993,"messages":[],"x":1.0}';
  const reply = await ask(`${url}/v1/chat/completions?api-version=1`, {
    body,
    headers: { authorization: "Bearer secret", "x-request-id": "mine" },
  });
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.body)).toMatchObject({
    model: "default",
    choices: [{ message: { content: "héllo" } }],
  });
  expect(reply.headers).toMatchObject({
    "x-request-id": "mine",
    "x-meridian-region": "eu",
    "x-meridian-backend": "b0",
    "x-meridian-attempts": "1",
    "x-meridian-revision": "1.1",
  });
  const [seen] = backend.seen;
  expect(seen?.url).toBe("/v1/chat/completions");
  expect(seen?.body).toBe(body.replace("default", "upstream/m"));
  expect(seen?.headers.authorization).toBeUndefined();
  expect(finished[0]).toMatchObject({ status: 200, ending: "complete", model: "m", region: "eu" });
  expect(finished[0]?.outcome?.usage).toEqual({ inputTokens: 3, outputTokens: 2, exact: true });
});

test("a stream passes through event by event under the client's name of the model", async () => {
  const { url, finished } = await bed({ document: oneRegion([await upstream(answerStream)]) });
  const reply = await ask(`${url}/chat/completions/`, { body: streamed });
  expect(reply).toMatchObject({ status: 200, clean: true, body: shown });
  expect(reply.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  expect(finished[0]).toMatchObject({ ending: "complete", stream: true });
});

/** What goes wrong before the first token, on the first of two backends. */
const before: { readonly [name: string]: Script } = {
  "status 500": (_, response) => void response.writeHead(500).end("boom"),
  "status 401": (_, response) => void response.writeHead(401).end("{}"),
  "status 404": (_, response) => void response.writeHead(404).end("{}"),
  "status 429": (_, response) => void response.writeHead(429, { "retry-after": "7" }).end("{}"),
  "a 400 for an unknown model": (_, response) =>
    void response.writeHead(400).end('{"error":{"code":"model_not_found"}}'),
  "a reset before the head": (_, response) => void response.destroy(),
  "a reset after the head": (_, response) => {
    openStream(response);
    response.flushHeaders();
    response.write(role, () => response.destroy());
  },
  "an error frame": (_, response) => {
    openStream(response);
    response.end(`${role}data: {"error":{"message":"CUDA out of memory"}}\n\n`);
  },
  "an empty stream": (_, response) => {
    openStream(response);
    response.end(`: hi\n\n${role}data: [DONE]\n\n`);
  },
  "an empty body": (_, response) => {
    openStream(response);
    response.end();
  },
  HTML: (_, response) =>
    void response.writeHead(200, { "content-type": "text/html" }).end("<p>hi</p>"),
  "broken JSON": (_, response) => {
    openStream(response);
    response.end('data: {"choices":[\n\n');
  },
};

test.each(Object.entries(before))(
  "%s before the first token moves the request to another backend",
  async (_, script) => {
    const backends = [await upstream(script), await upstream(answerStream)];
    const { url, finished } = await bed({ document: oneRegion(backends) });
    // Two random choices: until the bad one was asked first, the request is repeated.
    await vi.waitUntil(async () => {
      const reply = await ask(`${url}/v1/chat/completions`, { body: streamed });
      expect(reply).toMatchObject({ status: 200, clean: true, body: shown });
      return backends[0]?.seen.length === 1;
    });
    expect(finished.at(-1)?.outcome?.attempts).toHaveLength(2);
  },
);

/** What goes wrong after the first token. */
const after: { readonly [name: string]: Script } = {
  "a reset": (_, response) => {
    openStream(response);
    response.write(role + one, () => response.destroy());
  },
  "a clean end without its sign": (_, response) => {
    openStream(response);
    response.end(role + one);
  },
  "a cut within an event": (_, response) => {
    openStream(response);
    response.end(role + one + two.slice(0, 20));
  },
  "an error frame": (_, response) => {
    openStream(response);
    response.end(`${role}${one}data: {"error":{"message":"CUDA out of memory"}}\n\n`);
  },
  "an error by its field alone": (_, response) => {
    openStream(response);
    response.end(`${role}${one}error: {"message":"slot unavailable"}\n\n`);
  },
  "a malformed event": (_, response) => {
    openStream(response);
    response.end(`${role}${one}data: {"oops\n\ndata: [DONE]\n\n`);
  },
  "a stall": (_, response) => {
    openStream(response);
    response.write(role + one);
  },
};

test.each(Object.entries(after))(
  "%s after the first token ends in an error frame and a cut connection",
  async (_, script) => {
    const timeouts = { betweenTokensMs: 100 };
    const backends = [await upstream(script)];
    const { url, finished } = await bed({ document: oneRegion(backends, { timeouts }) });
    const reply = await ask(`${url}/v1/chat/completions`, { body: streamed });
    expect(reply.status).toBe(200);
    expect(reply.clean).toBe(false);
    const prefix = (role + one).replaceAll("upstream/m", "m");
    expect(reply.body.startsWith(`${prefix}data: {"error":`)).toBe(true);
    const frame: unknown = JSON.parse(reply.body.slice(prefix.length + "data: ".length));
    expect(frame).toMatchObject({ error: { type: "server_error", code: "stream_broken" } });
    expect(finished[0]).toMatchObject({ ending: "broken" });
  },
);

test("a whole answer that was cut is tried elsewhere", async () => {
  const cut: Script = (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write('{"choices":[', () => response.destroy());
  };
  const backends = [await upstream(cut), await upstream(answerWhole)];
  const { url } = await bed({ document: oneRegion(backends) });
  await vi.waitUntil(async () => {
    const reply = await ask(`${url}/v1/chat/completions`, { body: chat });
    expect(reply).toMatchObject({ status: 200, clean: true });
    return backends[0]?.seen.length === 1;
  });
});

test("an answer too large to be held passes through, and when it is cut it is cut", async () => {
  const filler = "x".repeat(3_000_000);
  const body = `{"model":"upstream/m","choices":[{"message":{"content":"${filler}"}}]}`;
  const backend = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(body);
  });
  const { url } = await bed({ document: oneRegion([backend]) });
  const reply = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(reply).toMatchObject({ status: 200, clean: true });
  expect(reply.body === body).toBe(true);
  backend.script = (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write(body.slice(0, 2_000_000), () => response.destroy());
  };
  const second = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(second).toMatchObject({ status: 200, clean: false });
});

test("what the upstream finds wrong with the request is passed on in its own words", async () => {
  const refusal = '{"error":{"message":"max_tokens is too large","type":"BadRequestError"}}';
  const backend = await upstream((_, response) => {
    response.writeHead(400, { "content-type": "application/json" }).end(refusal);
  });
  const { url } = await bed({ document: oneRegion([backend, await upstream(answerWhole)]) });
  await vi.waitUntil(async () => {
    const reply = await ask(`${url}/v1/chat/completions`, { body: chat });
    if (reply.status === 200) return false;
    expect(reply).toMatchObject({ status: 400, body: refusal });
    return true;
  });
  expect(backend.seen).toHaveLength(1);
});

test("a client that leaves takes its upstream request with it", async () => {
  const backend = await upstream((_, response) => {
    openStream(response);
    response.write(role + one);
  });
  const { url, finished } = await bed({ document: oneRegion([backend]) });
  await ask(`${url}/v1/chat/completions`, {
    body: streamed,
    onData: (_, request) => request.destroy(),
  });
  await backend.seen[0]?.closed;
  await vi.waitFor(() => expect(finished).toHaveLength(1));
  expect(finished[0]).toMatchObject({ ending: "client-gone", status: 499 });
});

test.each([
  ["a stream", streamed],
  ["a whole answer", chat],
])(
  "a client that leaves while it waits for %s takes its upstream request with it",
  async (_, body) => {
    const backend = await upstream(() => {
      // Never answers.
    });
    const { url, finished } = await bed({ document: oneRegion([backend]) });
    const reply = ask(`${url}/v1/chat/completions`, {
      body,
      onSent: (request) => {
        vi.waitFor(() => expect(backend.seen).toHaveLength(1)).then(
          () => request.destroy(),
          expect.fail,
        );
      },
    });
    await expect(reply).rejects.toThrow("socket hang up");
    await backend.seen[0]?.closed;
    await vi.waitFor(() => expect(finished).toHaveLength(1));
    expect(finished[0]).toMatchObject({ ending: "client-gone", status: 499 });
  },
);
