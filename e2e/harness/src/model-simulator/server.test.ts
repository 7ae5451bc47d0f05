import { Agent, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { presets } from "./model-size.ts";
import { createSimulator } from "./server.ts";

const { openServer, faults, log } = createSimulator(
  {
    models: [
      { name: "m", size: presets.small, use: "generate" },
      { name: "far", size: { ...presets.small, latencyMs: 5_000 }, use: "generate" },
      { name: "e", size: presets.embed, use: "embed" },
    ],
    speed: 50,
    seed: "test",
    refusable: false,
    assistantPrefix: "append",
  },
  () => undefined,
);
const server = openServer();
let base = "";

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  // A listening TCP server has an address with a port.
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
afterEach(() => {
  faults.remove();
  log.clear();
});

const chat = { model: "m", messages: [{ role: "user", content: "Hello" }] };

async function post(path: string, body: unknown): Promise<{ status: number; text: string }> {
  const response = await fetch(base + path, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

/** The objects of an event stream's data lines; the sentinel as a text. */
function events(text: string): readonly unknown[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice(6))
    .map((data) => (data === "[DONE]" ? data : JSON.parse(data)));
}

function streamedText(text: string): string {
  return events(text)
    .map((each) => {
      // Frames that this simulator wrote.
      const frame = each as { choices?: { delta?: { content?: string }; text?: string }[] };
      return frame.choices?.[0]?.delta?.content ?? frame.choices?.[0]?.text ?? "";
    })
    .join("");
}

test("the streamed answer equals the whole one, and ends with finish reason, usage and sentinel", async () => {
  const whole = JSON.parse((await post("/v1/chat/completions", chat)).text);
  const options = { stream: true, stream_options: { include_usage: true } };
  const streamed = (await post("/v1/chat/completions", { ...chat, ...options })).text;
  expect(streamedText(streamed)).toBe(whole.choices[0].message.content);
  const [finish, usage, sentinel] = events(streamed).slice(-3);
  expect(finish).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  expect(usage).toMatchObject({ choices: [], usage: whole.usage });
  expect(sentinel).toBe("[DONE]");
});

test("a limit of tokens is kept and said", async () => {
  const { text } = await post("/v1/chat/completions", { ...chat, max_tokens: 3 });
  expect(JSON.parse(text)).toMatchObject({
    choices: [{ finish_reason: "length" }],
    usage: { completion_tokens: 3 },
  });
});

test("legacy completions stream and answer alike", async () => {
  const body = { model: "m", prompt: "Once", max_tokens: 8 };
  const whole = JSON.parse((await post("/v1/completions", body)).text);
  const { text } = await post("/v1/completions", { ...body, stream: true });
  expect(streamedText(text)).toBe(whole.choices[0].text);
});

test("Anthropic's stream has its events in order, each with its type as event name", async () => {
  const body = { ...chat, max_tokens: 2, stream: true };
  const { text } = await post("/v1/messages", body);
  const names = [...text.matchAll(/^event: (.*)$/gm)].map((found) => found[1]);
  expect(names).toEqual([
    "message_start",
    "content_block_start",
    "ping",
    "content_block_delta",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  expect(events(text).map((each) => (each as { type: string }).type)).toEqual(names);
});

test("Ollama streams lines by default and ends with done", async () => {
  const body = { ...chat, options: { num_predict: 2 } };
  const lines = (await post("/api/chat", body)).text.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).done)).toEqual([false, false, true]);
  const whole = JSON.parse(
    (await post("/api/generate", { model: "m", prompt: "x", stream: false })).text,
  );
  expect(whole).toMatchObject({ done: true, done_reason: "stop" });
});

test("embeddings come as numbers or base64 of the same numbers", async () => {
  const plain = JSON.parse((await post("/v1/embeddings", { model: "e", input: ["a b"] })).text);
  const coded = JSON.parse(
    (await post("/v1/embeddings", { model: "e", input: "a b", encoding_format: "base64" })).text,
  );
  const bytes = Buffer.from(coded.data[0].embedding, "base64");
  const floats = Array.from({ length: bytes.length / 4 }, (_, index) =>
    bytes.readFloatLE(index * 4),
  );
  expect(floats).toEqual(plain.data[0].embedding);
});

test.each([
  ["/v1/chat/completions", { ...chat, model: "unknown" }, 404],
  ["/v1/chat/completions", { model: "m" }, 400],
  ["/v1/chat/completions", { ...chat, max_tokens: 0 }, 400],
  ["/v1/chat/completions", { ...chat, model: "e" }, 404],
  ["/v1/embeddings", { model: "m", input: "x" }, 404],
  ["/v1/nowhere", chat, 404],
])("%s with %j is refused with %i", async (path, body, status) => {
  const answer = await post(path, body);
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.text).error.message).not.toBe("");
});

const streaming = { ...chat, stream: true };

test("a status fault answers it with Retry-After, as often as it says", async () => {
  await post("/faults", { kind: "status", status: 503, retryAfterSeconds: 7, count: 1 });
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(chat),
  });
  await response.text();
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "7"]);
  expect((await post("/v1/chat/completions", chat)).status).toBe(200);
});

test.each(["reset-before-headers", "reset-after-headers"])(
  "%s breaks the connection",
  async (kind) => {
    await post("/faults", { kind });
    await expect(post("/v1/chat/completions", streaming)).rejects.toThrow();
  },
);

test("a reset at a token breaks the connection after those before it", async () => {
  await post("/faults", { kind: "reset-at-token", token: 2 });
  await expect(post("/v1/chat/completions", streaming)).rejects.toThrow();
  expect(log.view().requests.at(-1)).toMatchObject({ tokens: 2, outcome: "fault:reset-at-token" });
});

test.each([
  ["end-at-token", undefined],
  ["error-at-token", { error: { code: "simulated_error" } }],
])("%s ends the stream without a sentinel", async (kind, last) => {
  await post("/faults", { kind, token: 2 });
  const { text } = await post("/v1/chat/completions", streaming);
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain('"finish_reason":"stop"');
  if (last !== undefined) expect(events(text).at(-1)).toMatchObject(last);
});

test("a stalled stream says no more, and is seen to be left by its client", async () => {
  await post("/faults", { kind: "stall-at-token", token: 1, count: 1 });
  const leaving = new AbortController();
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(streaming),
    signal: leaving.signal,
  });
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value)).toContain("assistant");
  // Another request of full length passes meanwhile.
  const other = post("/v1/completions", { model: "m", prompt: "x" }).then(() => "silent");
  const silent = await Promise.race([reader?.read().then(() => "spoke"), other]);
  leaving.abort();
  expect(silent).toBe("silent");
});

test.each([
  ["empty-stream", ""],
  ["wrong-content-type", "<html>"],
  ["error-body", "simulated_error"],
  ["malformed-at-token", '"del'],
])("%s answers 200 with what it says", async (kind, part) => {
  await post("/faults", { kind, token: 0 });
  const { status, text } = await post("/v1/chat/completions", streaming);
  expect(status).toBe(200);
  if (part === "") expect(text).toBe("");
  else expect(text).toContain(part);
});

const opening = [{ role: "user", content: "Which way to the sea?" }];

async function said(messages: readonly object[], more: object = {}): Promise<string> {
  const { text } = await post("/v1/chat/completions", { model: "m", messages, ...more });
  return JSON.parse(text).choices[0].message.content;
}

test("a chat that ends with the assistant's words goes on from them, at a word's end and within one", async () => {
  const whole = await said(opening);
  for (const length of [1, 9, 20, whole.length - 1, whole.length]) {
    const given = { role: "assistant", content: whole.slice(0, length) };
    expect(await said([...opening, given])).toBe(whole.slice(length));
  }
  const given = { role: "assistant", content: whole.slice(0, 9) };
  expect(await said([...opening, given], { echo: true })).toBe(whole);
  const streamed = { model: "m", messages: [...opening, given], stream: true };
  expect(streamedText((await post("/v1/chat/completions", streamed)).text)).toBe(whole.slice(9));
});

test("to go on and to begin anew can't both be asked for", async () => {
  const body = { model: "m", messages: opening, continue_final_message: true };
  expect((await post("/v1/chat/completions", body)).status).toBe(400);
});

test("a fault right after the head comes before any frame, one at token 0 after the role", async () => {
  await post("/faults", { kind: "end-at-token", token: "headers", count: 1 });
  expect((await post("/v1/chat/completions", streaming)).text).toBe("");
  await post("/faults", { kind: "end-at-token", token: 0, count: 1 });
  const { text } = await post("/v1/chat/completions", streaming);
  expect(events(text)).toMatchObject([{ choices: [{ delta: { role: "assistant" } }] }]);
});

test.each([
  ["whole-answer", '"chat.completion"'],
  ["empty-content", '"finish_reason":"stop"'],
  ["other-words", '"finish_reason":"stop"'],
  ["no-sentinel", '"finish_reason":"stop"'],
  ["oversize-at-token", "xxxxxxxx"],
])("%s streams what it says", async (kind, part) => {
  const whole = (await post("/v1/chat/completions", streaming)).text;
  await post("/faults", { kind, token: 1 });
  const { status, text } = await post("/v1/chat/completions", streaming);
  expect([status, text.includes(part), text === whole]).toEqual([200, true, false]);
  expect(text.includes("[DONE]")).toBe(["empty-content", "other-words"].includes(kind));
});

test("latency is added to every answer, as often as a fault slows it", async () => {
  const far = { ...chat, model: "far", max_tokens: 3 };
  const timed = async () => {
    const begun = performance.now();
    expect((await post("/v1/chat/completions", far)).status).toBe(200);
    return performance.now() - begun;
  };
  expect(await timed()).toBeGreaterThanOrEqual(99);
  await post("/faults", { kind: "slow", factor: 3 });
  expect(await timed()).toBeGreaterThanOrEqual(299);
});

test("a trickle is slow, and whole", async () => {
  const whole = streamedText((await post("/v1/chat/completions", streaming)).text);
  await post("/faults", { kind: "trickle", bytes: 400, everyMs: 1 });
  expect(streamedText((await post("/v1/chat/completions", streaming)).text)).toBe(whole);
});

test("a whole answer is cut in its text", async () => {
  const whole = await said(chat.messages);
  await post("/faults", { kind: "end-at-token", token: 3 });
  const { text } = await post("/v1/chat/completions", chat);
  const words = whole.split(" ").slice(0, 3).join(" ");
  expect(text.endsWith(`"content":"${words}`)).toBe(true);
});

test("a stall with pings says that it lives, and no more, until its caller leaves", async () => {
  await post("/faults", { kind: "pings-at-token", token: 0 });
  const leaving = new AbortController();
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(streaming),
    signal: leaving.signal,
  });
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("event: ping")) break;
  }
  expect(text).toContain(": keep-alive");
  expect(streamedText(text.replaceAll("event: ping", ""))).toBe("");
  await expect.poll(() => log.view().requests.at(-1)?.ending).toBe("cancelled");
});

test("a connection is closed as it is used again, and the log tells cut from sent", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const asked = httpRequest(`${base}/v1/chat/completions`, { method: "POST", agent });
      asked.on("error", reject);
      asked.on("response", (response) => response.resume().on("end", resolve));
      asked.end(JSON.stringify(chat));
    });
  await post("/faults", { kind: "close-when-reused", model: "m" });
  await ask();
  await expect(ask()).rejects.toThrow();
  agent.destroy();
  const endings = log.view({ model: "m", ports: [], after: 0 }).requests.map((each) => each.ending);
  expect(endings).toEqual(["sent", "cut"]);
});

test("faults of one model are taken back alone", async () => {
  await post("/faults", [
    { kind: "empty-body", model: "m" },
    { kind: "empty-body", model: "n" },
  ]);
  await fetch(`${base}/faults?model=m`, { method: "DELETE" });
  expect(faults.list().map((each) => each.model)).toEqual(["n"]);
});

test("a refusal that nobody could take back is not taken", async () => {
  expect((await post("/faults", { kind: "refuse" })).status).toBe(400);
});

test("requests are shown without secrets, and a client that leaves counts as aborted", async () => {
  const leaving = new AbortController();
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer secret-key" },
    body: JSON.stringify({ ...streaming, max_tokens: 16_000, ignore_eos: true }),
    signal: leaving.signal,
  });
  await response.body?.getReader().read();
  leaving.abort();
  await expect.poll(() => log.view().requests.at(-1)?.outcome).toBe("aborted");
  expect(JSON.stringify(log.view())).not.toContain("secret-key");
});

test("the metrics count tokens and prefix hits under vLLM's names", async () => {
  const long = { model: "m", messages: [{ role: "user", content: "word ".repeat(600) }] };
  await post("/v1/chat/completions", long);
  await post("/v1/chat/completions", long);
  const text = await (await fetch(`${base}/metrics`)).text();
  const hits = Number(/prefix_cache_hits_total{model_name="m"} (\d+)/.exec(text)?.[1]);
  expect(hits).toBe(512);
  expect(text).toContain('vllm:num_requests_running{model_name="m"} 0');
});
