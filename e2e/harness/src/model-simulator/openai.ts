// OpenAI's endpoints: chat completions and legacy completions; embeddings and models as plain objects.

import { err, ok } from "@meridian/proto/base";
import { embed } from "./answer.ts";
import { countTokens } from "./prefix-cache.ts";
import {
  type AssistantPrefix,
  chatPrompt,
  complaints,
  contentText,
  dataFrame,
  type Failure,
  type Finish,
  type Generation,
  inputTexts,
  isObject,
  type JsonObject,
  type Reply,
  type Surface,
  tokenLimit,
  type Usage,
} from "./surface.ts";

const shared = {
  streamType: "text/event-stream; charset=utf-8",
  error: openaiError,
  errorFrame: (message: string) =>
    dataFrame(openaiError({ status: 500, message, code: "simulated_error" })),
  unsealed: (end: string) => end.replace("data: [DONE]\n\n", ""),
  brokenFrame: 'data: {"id":"chatcmpl-broken","choices":[{"index":0,"del\n\n',
};

export const chatCompletions: Surface = {
  ...shared,
  parse: parseChat,
  begin: (reply) => chatChunk(reply, { role: "assistant", content: "" }, null),
  token: (reply, text) => chatChunk(reply, { content: text }, null),
  heartbeats: (reply) => [
    ": keep-alive\n\n",
    chatChunk(reply, { role: "assistant", content: "" }, null),
    "event: ping\n\n",
  ],
  end: (reply, finish, usage) =>
    chatChunk(reply, {}, finish) + streamEnd(reply, "chat.completion.chunk", usage),
  whole: (reply, text, finish, usage) => ({
    ...head(reply, "chat.completion"),
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: null,
        finish_reason: finish,
      },
    ],
    usage: usageObject(usage),
  }),
};

export const completions: Surface = {
  ...shared,
  parse: (body) => parse(body, inputTexts(body.prompt)?.join("\n"), "prompt"),
  begin: () => "",
  heartbeats: () => [": keep-alive\n\n"],
  token: (reply, text) => textChunk(reply, text, null),
  end: (reply, finish, usage) =>
    textChunk(reply, "", finish) + streamEnd(reply, "text_completion", usage),
  whole: (reply, text, finish, usage) => ({
    ...head(reply, "text_completion"),
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
    usage: usageObject(usage),
  }),
};

/** A chat that ends with the assistant's words goes on from them, if the server does that and is asked as it wants. */
function parseChat(body: JsonObject, assistantPrefix: AssistantPrefix) {
  const { messages, continue_final_message: continues } = body;
  // vLLM's own words for it.
  if (continues === true && body.add_generation_prompt !== false) {
    return err("cannot set both `continue_final_message` and `add_generation_prompt` to True");
  }
  const given: readonly unknown[] = Array.isArray(messages) ? messages : [];
  const last = given.at(-1);
  const goesOn =
    isObject(last) &&
    last.role === "assistant" &&
    given.length > 1 &&
    (assistantPrefix === "append" ||
      (assistantPrefix === "continue-final-message" && continues === true));
  if (!goesOn) return parse(body, chatPrompt(messages), "messages");
  const parsed = parse(body, chatPrompt(given.slice(0, -1)), "messages");
  if (parsed.kind === "err") return parsed;
  return ok({ ...parsed.value, prefix: contentText(last.content), echo: body.echo === true });
}

function parse(body: JsonObject, prompt: string | undefined, promptField: string) {
  const maxTokens = tokenLimit(body.max_completion_tokens ?? body.max_tokens);
  const wrong = complaints({ model: body.model, prompt, promptField, maxTokens });
  if (wrong !== undefined) return err(wrong);
  if (body.n !== undefined && body.n !== null && body.n !== 1) return err("n: only 1 is simulated");
  const generation: Generation = {
    model: String(body.model),
    prompt: prompt ?? "",
    maxTokens,
    stream: body.stream === true,
    usageInStream: isObject(body.stream_options) && body.stream_options.include_usage === true,
    ignoreStop: body.ignore_eos === true,
    prefix: "",
    echo: false,
  };
  return ok(generation);
}

function head(reply: Reply, object: string) {
  return { id: reply.id, object, created: reply.createdSeconds, model: reply.model };
}

function chatChunk(reply: Reply, delta: JsonObject, finish: Finish | null): string {
  return dataFrame({
    ...head(reply, "chat.completion.chunk"),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(reply.usageInStream ? { usage: null } : {}),
  });
}

function textChunk(reply: Reply, text: string, finish: Finish | null): string {
  return dataFrame({
    ...head(reply, "text_completion"),
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
    ...(reply.usageInStream ? { usage: null } : {}),
  });
}

function streamEnd(reply: Reply, object: string, usage: Usage): string {
  const last = { ...head(reply, object), choices: [], usage: usageObject(usage) };
  return `${reply.usageInStream ? dataFrame(last) : ""}data: [DONE]\n\n`;
}

function usageObject(usage: Usage) {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

export function openaiError(failure: Failure) {
  const type = failure.status < 500 ? "invalid_request_error" : "server_error";
  return { error: { message: failure.message, type, param: null, code: failure.code } };
}

/** The embeddings of checked texts; base64 is little-endian 32-bit floats, as the official clients ask for. */
export function embeddingList(model: string, texts: readonly string[], body: JsonObject) {
  const dimensions = typeof body.dimensions === "number" ? Math.min(body.dimensions, 4_096) : 64;
  const asBase64 = body.encoding_format === "base64";
  const tokens = texts.reduce((sum, each) => sum + countTokens(each), 0);
  return {
    object: "list",
    data: texts.map((each, index) => {
      const vector = embed(model, each, dimensions);
      return { object: "embedding", index, embedding: asBase64 ? base64Floats(vector) : vector };
    }),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function base64Floats(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, each] of vector.entries()) bytes.writeFloatLE(each, index * 4);
  return bytes.toString("base64");
}

export function modelList(names: readonly string[], createdSeconds: number) {
  const data = names.map((id) => ({
    id,
    object: "model",
    created: createdSeconds,
    owned_by: "meridian-simulator",
  }));
  return { object: "list", data };
}
