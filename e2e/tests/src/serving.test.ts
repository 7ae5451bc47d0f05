// Requests as applications send them, with the official SDK, through each of three regions.

import { type Cluster, defaultRegions, startCluster } from "@meridian/harness";
import OpenAI from "openai";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { client, endpointOf, messages, showLogsOfFailures } from "./client.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());
showLogsOfFailures(() => cluster);

/** The SDK at a backend itself, past every proxy. */
function direct(): OpenAI {
  return client(cluster.regions[0]?.backendUrls[0] ?? "");
}

describe.each(defaultRegions)("through %s", (region) => {
  const router = () => client(endpointOf(cluster, region));

  test("a chat completion equals the direct answer, and headers say who gave it", async () => {
    const body = { model: "sim-large", messages: [...messages], max_tokens: 40 };
    const expected = await direct().chat.completions.create(body);
    const { data, response } = await router().chat.completions.create(body).withResponse();
    expect(data.choices).toEqual(expected.choices);
    expect(data.usage?.completion_tokens).toBe(expected.usage?.completion_tokens);
    expect(response.headers.get("x-meridian-region")).toBe(region);
    expect(response.headers.get("x-meridian-backend")).toMatch(new RegExp(`^${region}-[ab]$`));
    expect(response.headers.get("x-meridian-attempts")).toBe("1");
    expect(response.headers.get("x-meridian-revision")).toMatch(/^\d+\.\d+$/);
    expect(response.headers.get("x-request-id")).toBeTruthy();
  });

  test("a streamed completion gives the same text in pieces, with its end and its usage", async () => {
    const body = { model: "sim-small", messages: [...messages] };
    const expected = await direct().chat.completions.create(body);
    const stream = await router().chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const parts: string[] = [];
    let finish: string | null | undefined;
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      parts.push(chunk.choices[0]?.delta.content ?? "");
      finish ??= chunk.choices[0]?.finish_reason;
      usage = chunk.usage ?? usage;
    }
    expect(parts.filter((part) => part !== "").length).toBeGreaterThan(5);
    expect(parts.join("")).toBe(expected.choices[0]?.message.content);
    expect(finish).toBe("stop");
    expect(usage?.completion_tokens).toBe(expected.usage?.completion_tokens);
  });

  test("who asks for no usage gets none in the stream", async () => {
    const stream = await router().chat.completions.create({
      model: "sim-small",
      messages: [...messages],
      max_tokens: 3,
      stream: true,
    });
    for await (const chunk of stream) {
      expect(chunk.choices.length).toBe(1);
      expect(chunk.usage ?? null).toBeNull();
    }
  });

  test("the SDK's own accumulator takes the stream as complete", async () => {
    const final = await router()
      .chat.completions.stream({ model: "sim-small", messages: [...messages] })
      .finalChatCompletion();
    const expected = await direct().chat.completions.create({
      model: "sim-small",
      messages: [...messages],
    });
    expect(final.choices[0]?.message.content).toBe(expected.choices[0]?.message.content);
  });

  test("legacy completions, streaming and not, equal the direct answer", async () => {
    const body = { model: "sim-small", prompt: "Once upon a time", max_tokens: 12 };
    const expected = await direct().completions.create(body);
    expect((await router().completions.create(body)).choices).toEqual(expected.choices);
    let text = "";
    for await (const chunk of await router().completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]?.text ?? "";
    }
    expect(text).toBe(expected.choices[0]?.text);
  });

  test("embeddings equal the direct ones", async () => {
    const body = { model: "sim-embed", input: ["the sea", "the mountains"] };
    const expected = await direct().embeddings.create(body);
    expect((await router().embeddings.create(body)).data).toEqual(expected.data);
  });

  test("models are those of the policy", async () => {
    const names = [];
    for await (const model of router().models.list()) names.push(model.id);
    expect(names).toEqual(expect.arrayContaining(["sim-large", "sim-small", "sim-embed"]));
  });

  test("an alias is answered by its model", async () => {
    const body = { messages: [...messages], max_tokens: 5 };
    const expected = await direct().chat.completions.create({ ...body, model: "sim-small" });
    const aliased = await router().chat.completions.create({ ...body, model: "default" });
    expect(aliased.choices).toEqual(expected.choices);
  });
});

describe("what is wrong with a request is said in OpenAI's own form", () => {
  const router = () => client(endpointOf(cluster, "us-east"));

  /** A body that the SDK itself would not send. */
  async function post(path: string, body: string, key = "local-key") {
    const answer = await request(endpointOf(cluster, "us-east") + path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body,
    });
    // Every answer of these tests is JSON; its shape is what is tested.
    return { status: answer.statusCode, body: (await answer.body.json()) as { error: unknown } };
  }

  const errorObject = {
    message: expect.stringMatching(/./),
    type: expect.any(String),
    code: expect.toSatisfy((code) => code === null || typeof code === "string"),
  };

  test("broken JSON: 400", async () => {
    const answer = await post("/v1/chat/completions", '{"model": "sim-small", ');
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ ...errorObject, type: "invalid_request_error" });
    expect(answer.body.error).toHaveProperty("param");
  });

  test("no model: 400", async () => {
    const answer = await post("/v1/chat/completions", JSON.stringify({ messages }));
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ ...errorObject, type: "invalid_request_error" });
  });

  test("an unknown model: 404 and model_not_found", async () => {
    const asked = router().chat.completions.create({ model: "no-such", messages: [...messages] });
    const error = await asked.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ status: 404, code: "model_not_found" });
  });

  test("a body over the limit: 413", async () => {
    const content = "x".repeat(33 * 1024 * 1024);
    const asked = router().chat.completions.create({
      model: "sim-small",
      messages: [{ role: "user", content }],
    });
    const error = await asked.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ status: 413, type: "invalid_request_error" });
  });

  test("a wrong key: 401", async () => {
    const asked = client(endpointOf(cluster, "us-east"), "wrong-key").chat.completions.create({
      model: "sim-small",
      messages: [...messages],
    });
    const error = await asked.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
  });

  test("a wrong key is refused before the body is looked at", async () => {
    expect((await post("/v1/chat/completions", "no json", "wrong-key")).status).toBe(401);
  });

  test("what the backend itself refuses comes through as it says it", async () => {
    const asked = router().chat.completions.create({
      model: "sim-small",
      messages: [...messages],
      n: 2,
    });
    const error = await asked.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(String(error)).toContain("only 1 is simulated");
  });

  test("an unknown path: 404 with the error object", async () => {
    const answer = await post("/v1/nowhere", "{}");
    expect(answer.status).toBe(404);
    expect(answer.body.error).toMatchObject(errorObject);
  });
});
