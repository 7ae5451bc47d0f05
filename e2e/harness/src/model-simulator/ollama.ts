// Ollama's own endpoints: newline-delimited JSON, streaming unless told otherwise.

import { err, ok } from "@meridian/proto/base";
import { embed } from "./answer.ts";
import { countTokens } from "./prefix-cache.ts";
import {
  chatPrompt,
  complaints,
  type Failure,
  type Finish,
  type Generation,
  isObject,
  type JsonObject,
  type Reply,
  type Surface,
  tokenLimit,
  type Usage,
} from "./surface.ts";

export const ollamaChat = surface(
  (body) => chatPrompt(body.messages),
  "messages",
  (text) => ({
    message: { role: "assistant", content: text },
  }),
);

export const ollamaGenerate = surface(
  (body) => (typeof body.prompt === "string" ? body.prompt : undefined),
  "prompt",
  (text) => ({ response: text }),
);

function surface(
  promptOf: (body: JsonObject) => string | undefined,
  promptField: string,
  part: (text: string) => JsonObject,
): Surface {
  const lastLine = (reply: Reply, text: string, finish: Finish, usage: Usage) => ({
    ...head(reply),
    ...part(text),
    done: true,
    done_reason: finish,
    ...counts(usage),
  });
  return {
    streamType: "application/x-ndjson",
    parse: (body) => parse(body, promptOf(body), promptField),
    begin: () => "",
    token: (reply, text) => line({ ...head(reply), ...part(text), done: false }),
    end: (reply, finish, usage) => line(lastLine(reply, "", finish, usage)),
    // Its sentinel is its last line: without it nothing is left.
    unsealed: () => "",
    heartbeats: () => ["\n"],
    whole: lastLine,
    error: ollamaError,
    errorFrame: (message) => line({ error: message }),
    brokenFrame: '{"model":"broken","mess\n',
  };
}

function parse(body: JsonObject, prompt: string | undefined, promptField: string) {
  const predicted = isObject(body.options) ? body.options.num_predict : undefined;
  // -1 and -2 mean "no limit" to Ollama.
  const maxTokens = tokenLimit(predicted === -1 || predicted === -2 ? undefined : predicted);
  const wrong = complaints({ model: body.model, prompt, promptField, maxTokens });
  if (wrong !== undefined) return err(wrong);
  const generation: Generation = {
    model: String(body.model),
    prompt: prompt ?? "",
    maxTokens,
    stream: body.stream !== false,
    usageInStream: true,
    ignoreStop: false,
    prefix: "",
    echo: false,
  };
  return ok(generation);
}

function line(value: JsonObject): string {
  return `${JSON.stringify(value)}\n`;
}

function head(reply: Reply): JsonObject {
  return {
    model: reply.model,
    created_at: new Date(reply.createdSeconds * 1_000).toISOString(),
  };
}

function counts(usage: Usage): JsonObject {
  return {
    prompt_eval_count: usage.promptTokens,
    eval_count: usage.completionTokens,
    load_duration: 1,
  };
}

export function ollamaError(failure: Failure) {
  return { error: failure.message };
}

/** The answer of /api/embed. */
export function ollamaEmbeddings(model: string, texts: readonly string[]) {
  return {
    model,
    embeddings: texts.map((each) => embed(model, each, 64)),
    prompt_eval_count: texts.reduce((sum, each) => sum + countTokens(each), 0),
  };
}

/** The answer of /api/tags. */
export function ollamaTags(names: readonly string[], createdSeconds: number) {
  const modified = new Date(createdSeconds * 1_000).toISOString();
  return {
    models: names.map((name) => ({
      name,
      model: name,
      modified_at: modified,
      size: 0,
      digest: "",
    })),
  };
}
