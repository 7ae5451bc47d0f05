// One request by the official client, in each of the ways in which applications read answers, and what they see of it.

import { localKey } from "@meridian/harness";
import OpenAI from "openai";
import { askForBytes } from "./ask-for-bytes.ts";
import { type Asked, bodyOf, type Question, type Saw } from "./question.ts";

type Heard = { text: string; readonly add: (text: string) => void };

/** Never throws for what the other side does. Nothing is tried again by the client itself. */
export async function ask(question: Question): Promise<Asked> {
  if (question.reading === "bytes") return askForBytes(question);
  let headers = new Headers();
  const client = new OpenAI({
    baseURL: `${question.endpoint}/v1`,
    apiKey: localKey,
    maxRetries: 0,
    timeout: 30_000,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      headers = response.headers;
      return response;
    },
  });
  const startedAt = performance.now();
  const heard: Heard = {
    text: "",
    add: (text) => {
      heard.text += text;
      if (text !== "") question.onText?.(text);
    },
  };
  const saw = await read(client, question, heard).catch((error: unknown) => failed(error, heard));
  return { saw, headers, tookMs: performance.now() - startedAt, bytes: undefined };
}

function read(client: OpenAI, question: Question, heard: Heard): Promise<Saw> {
  switch (question.reading) {
    case "iterator":
      return iterate(client, question, heard);
    case "accumulator":
      return accumulate(client, question, heard);
    default:
      return whole(client, question);
  }
}

async function iterate(client: OpenAI, question: Question, heard: Heard): Promise<Saw> {
  const body = { ...bodyOf(question), stream: true as const };
  const stream = await client.chat.completions.create(body, optionsOf(question));
  let finish: string | undefined;
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    heard.add(choice?.delta.content ?? "");
    finish = choice?.finish_reason ?? finish;
  }
  return { kind: "answer", text: heard.text, finish };
}

async function accumulate(client: OpenAI, question: Question, heard: Heard): Promise<Saw> {
  const runner = client.chat.completions.stream(bodyOf(question), optionsOf(question));
  runner.on("content", heard.add);
  const { choices } = await runner.finalChatCompletion();
  const choice = choices[0];
  return {
    kind: "answer",
    text: choice?.message.content ?? "",
    finish: choice?.finish_reason ?? undefined,
  };
}

async function whole(client: OpenAI, question: Question): Promise<Saw> {
  const { choices } = await client.chat.completions.create(bodyOf(question), optionsOf(question));
  const choice = choices[0];
  return {
    kind: "answer",
    text: choice?.message.content ?? "",
    finish: choice?.finish_reason ?? undefined,
  };
}

function optionsOf({ signal }: Question) {
  return signal === undefined ? {} : { signal };
}

function failed(error: unknown, heard: { readonly text: string }): Saw {
  const isApiError = error instanceof OpenAI.APIError;
  return {
    kind: "error",
    text: heard.text,
    status: isApiError ? error.status : undefined,
    code: isApiError ? (error.code ?? undefined) : undefined,
    message: error instanceof Error ? error.message : String(error),
    isApiError,
  };
}
