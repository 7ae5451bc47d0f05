// Anthropic's Messages endpoint. Every event has an `event:` line: official clients ignore those without.

import { err, ok } from "@meridian/proto/base";
import {
  chatPrompt,
  complaints,
  contentText,
  type Failure,
  type Finish,
  type Generation,
  type JsonObject,
  type Reply,
  type Surface,
  tokenLimit,
  type Usage,
} from "./surface.ts";

export const messages: Surface = {
  streamType: "text/event-stream; charset=utf-8",
  parse,
  begin: (reply) =>
    event({ type: "message_start", message: message(reply, [], null, startUsage(reply)) }) +
    event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) +
    event({ type: "ping" }),
  token: (_, text) =>
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
  end: (_, finish, usage) =>
    event({ type: "content_block_stop", index: 0 }) +
    event({
      type: "message_delta",
      delta: { stop_reason: stopReason(finish), stop_sequence: null },
      usage: usageObject(usage),
    }) +
    event({ type: "message_stop" }),
  unsealed: (end) => end.slice(0, end.lastIndexOf("event: ")),
  heartbeats: () => [event({ type: "ping" })],
  whole: (reply, text, finish, usage) =>
    message(reply, [{ type: "text", text }], stopReason(finish), usage),
  error: anthropicError,
  errorFrame: (text) => event({ ...anthropicError({ status: 500, message: text, code: "" }) }),
  brokenFrame: 'event: content_block_delta\ndata: {"type":"content_block_del\n\n',
};

function parse(body: JsonObject) {
  const system = contentText(body.system);
  const chat = chatPrompt(body.messages);
  const prompt =
    chat === undefined ? undefined : `${system === "" ? "" : `system: ${system}\n`}${chat}`;
  const maxTokens = tokenLimit(body.max_tokens);
  const wrong = complaints({ model: body.model, prompt, promptField: "messages", maxTokens });
  if (wrong !== undefined) return err(wrong);
  if (maxTokens === undefined) return err("max_tokens: Field required");
  const generation: Generation = {
    model: String(body.model),
    prompt: prompt ?? "",
    maxTokens,
    stream: body.stream === true,
    usageInStream: true,
    ignoreStop: body.ignore_eos === true,
    prefix: "",
    echo: false,
  };
  return ok(generation);
}

function event(value: { readonly type: string } & JsonObject): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
}

function message(
  reply: Reply,
  content: readonly JsonObject[],
  stop: string | null,
  usage: Usage,
): JsonObject {
  return {
    id: reply.id,
    type: "message",
    role: "assistant",
    model: reply.model,
    content,
    stop_reason: stop,
    stop_sequence: null,
    usage: usageObject(usage),
  };
}

function startUsage(reply: Reply): Usage {
  return { promptTokens: reply.promptTokens, completionTokens: 0, cachedTokens: 0 };
}

function usageObject(usage: Usage) {
  return {
    input_tokens: usage.promptTokens - usage.cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage.cachedTokens,
    output_tokens: usage.completionTokens,
  };
}

function stopReason(finish: Finish): string {
  return finish === "length" ? "max_tokens" : "end_turn";
}

function anthropicError(failure: Failure) {
  const types: { readonly [status: number]: string } = {
    400: "invalid_request_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
  };
  const type = types[failure.status] ?? "api_error";
  return { type: "error", error: { type, message: failure.message }, request_id: null };
}
