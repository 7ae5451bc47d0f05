import { createHash, hash } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { expect, test, vi } from "vitest";
import {
  applyPolicy,
  ask,
  type FakeUpstream,
  oneRegion,
  type PolicyDocument,
  type Script,
  useBeds,
} from "./test-bed.ts";

const { upstream, bed, atEnd } = useBeds();

const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};

const chat = { model: "m", messages: [] };

test.each([
  ["broken JSON", '{"model":', 400, { code: "invalid_json", param: null }],
  ["an empty body", "", 400, { code: "invalid_value" }],
  ["a list", "[]", 400, { code: "invalid_value" }],
  ["no model", '{"messages":[]}', 400, { code: "missing_field", param: "model" }],
  ["an unknown model", '{"model":"nope","messages":[]}', 404, { code: "model_not_found" }],
  ["a body over the limit", JSON.stringify({ ...chat, x: "y".repeat(2_000) }), 413, {}],
])(
  "%s is refused in OpenAI's shape, and no backend is bothered",
  async (_, body, status, error) => {
    const backend = await upstream(answer);
    const document = oneRegion([backend], { match: { models: ["m"] } });
    const { url, finished } = await bed({ document, bodyBytesMax: 1_000 });
    const reply = await ask(`${url}/v1/chat/completions`, { method: "POST", body });
    expect(reply.status).toBe(status);
    expect(reply.headers["content-type"]).toContain("application/json");
    expect(Object.keys(JSON.parse(reply.body).error).sort()).toEqual([
      "code",
      "message",
      "param",
      "type",
    ]);
    expect(JSON.parse(reply.body).error).toMatchObject({ type: "invalid_request_error", ...error });
    expect(reply.headers["x-request-id"]).toMatch(/^req_/);
    expect(backend.seen).toHaveLength(0);
    expect(finished).toMatchObject([{ ending: "refused", status }]);
  },
);

test("a body over the limit is refused, too, when its length was not stated", async () => {
  const { url, finished } = await bed({ document: oneRegion([]), bodyBytesMax: 1_000 });
  const headers = { "transfer-encoding": "chunked" };
  const reply = await ask(`${url}/v1/completions`, { body: "x".repeat(5_000), headers });
  expect(reply.status).toBe(413);
  expect(finished).toMatchObject([{ ending: "refused", status: 413 }]);
});

test("every problem of a body is told at once", async () => {
  const { url } = await bed({ document: oneRegion([]) });
  const body = { model: 7, stream: "yes", n: 0, max_tokens: -1 };
  const reply = await ask(`${url}/v1/chat/completions`, { body });
  for (const name of ["model", "stream", "n", "max_tokens", "messages"]) {
    expect(JSON.parse(reply.body).error.message).toContain(`${name}:`);
  }
});

test("a compressed body is refused", async () => {
  const { url } = await bed({ document: oneRegion([]) });
  const headers = { "content-encoding": "gzip" };
  const reply = await ask(`${url}/v1/chat/completions`, { body: "x", headers });
  expect(reply.status).toBe(415);
});

const tenants = (backends: readonly FakeUpstream[]): PolicyDocument => ({
  ...oneRegion(backends),
  tenants: [{ name: "acme", keys: [{ sha256: createHash("sha256").update("k1").digest("hex") }] }],
});

test.each([
  ["authorization", "Bearer k1", 200],
  ["authorization", "bearer  k1", 200],
  ["x-api-key", "k1", 200],
  ["api-key", "k1", 200],
  ["authorization", "Bearer k2", 401],
  ["authorization", "Basic k1", 401],
  ["authorization", "", 401],
])("with %s: %s the status is %d", async (name, value, status) => {
  const { url, finished } = await bed({ document: tenants([await upstream(answer)]) });
  const reply = await ask(`${url}/v1/chat/completions`, { body: chat, headers: { [name]: value } });
  expect(reply.status).toBe(status);
  if (status === 200) expect(finished[0]?.tenant).toBe("acme");
  else expect(JSON.parse(reply.body).error.code).toBe("invalid_api_key");
  const models = await ask(`${url}/v1/models`, { headers: { [name]: value } });
  expect(models.status).toBe(status);
});

test("a connection's next request is judged by its own key, and by the policy of its own time", async () => {
  const document = tenants([await upstream(answer)]);
  const { url, engine, server, finished } = await bed({ document });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  atEnd(() => agent.destroy());
  const statusWith = (authorization: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { agent, method: "POST", headers: { authorization } };
      const request = http.request(`${url}/v1/chat/completions`, options, (response) => {
        response.resume().on("end", () => resolve(response.statusCode ?? 0));
      });
      request.on("error", reject).end(JSON.stringify(chat));
    });
  expect(await statusWith("Bearer k1")).toBe(200);
  expect(await statusWith("Bearer k2")).toBe(401);
  expect(await statusWith("Bearer k1")).toBe(200);
  expect(await statusWith("Bearer k1")).toBe(200);
  const other = { sha256: hash("sha256", "k3", "hex") };
  applyPolicy(engine, server, "eu", { ...document, tenants: [{ name: "acme", keys: [other] }] });
  expect(await statusWith("Bearer k1")).toBe(401);
  expect(await statusWith("Bearer k3")).toBe(200);
  expect(finished.map((each) => each.status)).toEqual([200, 401, 200, 200, 401, 200]);
});

test("a stranger is refused before the body is read", async () => {
  const { url } = await bed({ document: tenants([]) });
  const { port } = new URL(url);
  const socket = net.connect(Number(port), "127.0.0.1");
  atEnd(() => void socket.destroy());
  socket.write("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n{");
  const [head] = await new Promise<string[]>((resolve) => {
    socket.once("data", (data) => resolve(String(data).split("\r\n")));
  });
  expect(head).toBe("HTTP/1.1 401 Unauthorized");
});

test("a client that leaves in the middle of its upload is settled", async () => {
  const { url, server, finished } = await bed({ document: oneRegion([]) });
  const { port } = new URL(url);
  const socket = net.connect(Number(port), "127.0.0.1");
  socket.write("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{");
  await vi.waitFor(() => expect(server.stats().live).toBe(1));
  socket.destroy();
  await vi.waitFor(() => expect(server.stats()).toMatchObject({ live: 0, total: 1 }));
  expect(finished).toMatchObject([{ ending: "client-gone", status: 499 }]);
});

test("without a policy requests are refused with a time to try again", async () => {
  const { url } = await bed({});
  const reply = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(reply).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  expect(JSON.parse(reply.body).error.type).toBe("server_error");
  expect((await ask(`${url}/v1/models`)).status).toBe(503);
});

test("with nobody to answer the refusal says what was tried and when to come back", async () => {
  const gone = await upstream(answer);
  await gone.close();
  const { url } = await bed({ document: oneRegion([gone]) });
  const reply = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(reply).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  expect(JSON.parse(reply.body).error.message).toContain("tried eu/connect");
  expect(reply.body).not.toContain("127.0.0.1");
});

test.each([
  [500, 502],
  [401, 502],
  [429, 429],
])("when every backend answers %d the client gets %d", async (given, status) => {
  const fail: Script = (_, response) => {
    response.writeHead(given, { "retry-after": "7" });
    response.end('{"error":{"message":"sk-secret at http://10.0.0.1/"}}');
  };
  const { url } = await bed({ document: oneRegion([await upstream(fail), await upstream(fail)]) });
  const reply = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(reply.status).toBe(status);
  expect(reply.body).not.toContain("sk-secret");
  if (status === 429) expect(reply.headers["retry-after"]).toBe("7");
});

test("a request whose time is over is refused with 504", async () => {
  const silent: Script = () => {
    // Never answers.
  };
  const { url } = await bed({ document: oneRegion([await upstream(silent)]) });
  const headers = { "x-request-timeout-ms": "60" };
  const reply = await ask(`${url}/v1/chat/completions`, { body: chat, headers });
  expect(reply.status).toBe(504);
  expect(JSON.parse(reply.body).error.code).toBe("timeout");
});

test("models and their aliases are listed and found, slashes and colons included", async () => {
  const document = {
    ...oneRegion([]),
    models: [{ name: "m" }, { name: "org/big:7b", aliases: ["big"] }],
  };
  const { url } = await bed({ document });
  for (const prefix of ["/v1", ""]) {
    const list = JSON.parse((await ask(`${url}${prefix}/models?x=1`)).body);
    expect(list.data.map((each: { id: string }) => each.id)).toEqual(["big", "m", "org/big:7b"]);
    for (const id of ["org/big:7b", "org%2Fbig:7b", "org%2fbig%3A7b"]) {
      const found = await ask(`${url}${prefix}/models/${id}`);
      expect(JSON.parse(found.body)).toMatchObject({ id: "org/big:7b", object: "model" });
    }
  }
  const missing = await ask(`${url}/v1/models/nope`);
  expect(missing.status).toBe(404);
  expect(JSON.parse(missing.body).error.code).toBe("model_not_found");
});

test.each([
  ["GET", "/v1/nope", 404],
  ["GET", "/v1/chat/completions", 405],
  ["HEAD", "/", 200],
  ["HEAD", "/v1/models", 200],
  ["OPTIONS", "/v1/chat/completions", 204],
])("%s %s is answered with %d", async (method, path, status) => {
  const { url } = await bed({ document: oneRegion([]) });
  const reply = await ask(`${url}${path}`, { method });
  expect(reply.status).toBe(status);
  if (status >= 400) expect(JSON.parse(reply.body).error.type).toBe("invalid_request_error");
});

test("a body without a content type is taken for JSON", async () => {
  const { url } = await bed({ document: oneRegion([await upstream(answer)]) });
  const { port } = new URL(url);
  const socket = net.connect(Number(port), "127.0.0.1");
  atEnd(() => void socket.destroy());
  const body = JSON.stringify(chat);
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const text = await new Promise<string>((resolve) => {
    socket.once("data", (data) => resolve(String(data)));
  });
  expect(text).toContain("HTTP/1.1 200 OK");
});

const stop = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';

test("a drain lets live streams finish and refuses new requests with a retryable error", async () => {
  let finish = (): void => undefined;
  const backend = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n');
    finish = () => void response.end(`${stop}data: [DONE]\n\n`);
  });
  const { url, server } = await bed({ document: oneRegion([backend]) });
  const stream = ask(`${url}/v1/chat/completions`, { body: { ...chat, stream: true } });
  await vi.waitFor(() => expect(server.stats().live).toBe(1));
  let isDrained = false;
  const drained = server.beginDrain().then(() => {
    isDrained = true;
  });
  const refused = await ask(`${url}/v1/chat/completions`, { body: chat });
  expect(refused).toMatchObject({
    status: 503,
    headers: { connection: "close", "retry-after": "1" },
  });
  expect(isDrained).toBe(false);
  finish();
  expect(await stream).toMatchObject({ clean: true });
  await drained;
  expect(server.stats()).toMatchObject({ live: 0, draining: true });
});

test("a stop that waits no longer ends live streams with the error frame, never silently", async () => {
  const backend = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n');
  });
  const { url, server } = await bed({ document: oneRegion([backend]) });
  const stream = ask(`${url}/v1/chat/completions`, { body: { ...chat, stream: true } });
  await vi.waitFor(() => expect(server.stats().report.backends[0]?.inFlight).toBe(1));
  // The first token is the client's before the stop comes.
  await vi.waitFor(() => expect(server.stats().live).toBe(1));
  await server.close();
  const ended = await stream;
  expect(ended.clean && ended.status === 200).toBe(false);
  expect(ended.body).toContain('"error"');
});
