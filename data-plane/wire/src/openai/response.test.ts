import { expect, test } from "vitest";
import { readRefusal, renderError, renderStreamError } from "./errors.ts";
import { renderModel, renderModels } from "./models.ts";
import { readAnswer } from "./response.ts";

const chat = { kind: "chat", clientModel: "m" } as const;

test("an answer is passed on under the client's name of the model, other bytes untouched", () => {
  const body = '{"id":1,"model":"up","choices":[{"message":{}}],"big":9007199254740993}';
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

test("a refusal is the target's fault only when it does not know the model", () => {
  expect(readRefusal(400, '{"error":{"code":"model_not_found"}}')).toBe("target");
  expect(readRefusal(400, '{"error":{"type":"NotFoundError","message":"x"}}')).toBe("target");
  expect(readRefusal(400, '{"error":{"message":"too long"}}')).toBe("request");
  expect(readRefusal(422, "<html>")).toBe("request");
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
  expect(frame).toMatch(/^data: \{"error":\{.*\}\}\n\n$/);
});

test("models are listed in OpenAI's shape", () => {
  expect(JSON.parse(renderModels(["a", "b"]))).toEqual({
    object: "list",
    data: [JSON.parse(renderModel("a")), JSON.parse(renderModel("b"))],
  });
});
