import { expect, test } from "vitest";
import { renderError, renderStreamError } from "./errors.ts";
import { renderModel, renderModels } from "./models.ts";
import { readAnswer } from "./response.ts";

const chat = { kind: "chat", clientModel: "m" } as const;

test("an answer is passed on under the client's name of the model, other bytes untouched", () => {
  const body =
    '{"id":1,"model":"up","choices":[{"message":{"content":"x"}}],"big":9007199254740993}';
  expect(readAnswer(body, chat)).toEqual({
    kind: "answer",
    body: body.replace("up", "m"),
    usage: undefined,
  });
});

test("usage is read from chats and from embeddings", () => {
  const usage = { prompt_tokens: 7, completion_tokens: 3 };
  const answer = JSON.stringify({ choices: [{}], usage });
  expect(readAnswer(answer, chat)).toMatchObject({ usage: { inputTokens: 7, outputTokens: 3 } });
  const embedded = JSON.stringify({ data: [{}], usage: { prompt_tokens: 7, total_tokens: 7 } });
  expect(readAnswer(embedded, { kind: "embedding", clientModel: "m" })).toMatchObject({
    usage: { inputTokens: 7, outputTokens: 0 },
  });
});

test.each([
  ['{"error":{"message":"x"}}', "error-frame"],
  ['{"object":"error","message":"x"}', "error-frame"],
  ['{"choices":[]}', "empty"],
  ["{}", "malformed"],
  ["", "malformed"],
  ["<html>", "malformed"],
  ['{"choices":[{"mess', "malformed"],
])("the answer %s is no answer: %s", (body, kind) => {
  expect(readAnswer(body, chat)).toMatchObject({ kind: "fault", fault: { kind } });
});

test.each([
  [
    "nothing, for no reason",
    { finish_reason: "stop", message: { content: "" } },
    undefined,
    "fault",
  ],
  ["nothing, in no token", { message: { content: null } }, { completion_tokens: 0 }, "fault"],
  ["nothing, in one token", { message: { content: "" } }, { completion_tokens: 1 }, "answer"],
  ["nothing, for its length", { finish_reason: "length", message: {} }, undefined, "answer"],
  ["a call", { message: { content: null, tool_calls: [{}] } }, undefined, "answer"],
  ["nothing, for a filter", { finish_reason: "content_filter", message: {} }, undefined, "answer"],
  ["nothing, as TGI ends", { finish_reason: "eos_token", message: {} }, undefined, "fault"],
  ["thoughts alone", { message: { content: "", reasoning_content: "hm" } }, undefined, "answer"],
  ["half of it", { finish_reason: "abort", message: { content: "x" } }, undefined, "fault"],
  ["a refusal", { message: { refusal: "no" } }, undefined, "answer"],
  ["a text of a legacy completion", { text: "x" }, undefined, "answer"],
])("an answer that says %s is: %s", (_, choice, usage, expected) => {
  expect(readAnswer(JSON.stringify({ choices: [choice], usage }), chat).kind).toBe(expected);
});

test("an error has all four keys, its status and its times to retry", () => {
  const problems = [
    { code: "c1", path: "a", message: "is bad", hint: "mend it", warning: false },
    { code: "c2", path: "", message: "größe", hint: "", warning: false },
  ];
  const rendered = renderError({ class: "overloaded", problems, retryAfterMs: 1_200 });
  expect(rendered).toMatchObject({
    status: 503,
    headers: { "retry-after": "2", "retry-after-ms": "1200" },
  });
  expect(JSON.parse(rendered.body)).toEqual({
    error: {
      message: "a: is bad (mend it); größe",
      type: "server_error",
      param: "a",
      code: "overloaded",
    },
  });
  const frame = renderStreamError({ class: "timeout", problems, retryAfterMs: undefined });
  expect(frame).toMatch(/^data: \{"error":\{.*"code":"c1"\}\}\n\n$/);
});

test("models are listed in OpenAI's shape", () => {
  expect(JSON.parse(renderModels(["a", "b"]))).toEqual({
    object: "list",
    data: [JSON.parse(renderModel("a")), JSON.parse(renderModel("b"))],
  });
});
