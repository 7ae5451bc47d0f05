// One request by the official client, in each of the ways in which applications read answers, and what they see of it.

import { localKey } from "@meridian/harness";
import OpenAI from "openai";

/** The raw iterator of a stream, its accumulator, or a whole answer. */
export type Reading = "iterator" | "accumulator" | "whole";

/** What an application is told. A stream that just ends is a success to it: nothing else tells it otherwise. */
export type Saw =
  | { readonly kind: "answer"; readonly text: string; readonly finish: string | undefined }
  | {
      readonly kind: "error";
      /** What came before. */
      readonly text: string;
      readonly status: number | undefined;
      readonly code: string | undefined;
      readonly message: string;
      readonly isApiError: boolean;
    };

export type Asked = {
  readonly saw: Saw;
  readonly headers: Headers;
  readonly tookMs: number;
};

export type Question = {
  readonly endpoint: string;
  readonly model: string;
  readonly prompt: string;
  readonly reading: Reading;
  /** Not in the official schema, and sent all the same. */
  readonly more?: object;
  /** The application leaves. */
  readonly signal?: AbortSignal;
};

/** Never throws for what the other side does. Nothing is tried again by the client itself. */
export async function ask(question: Question): Promise<Asked> {
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
  const heard = { text: "" };
  const saw = await read(client, question, heard).catch((error: unknown) => failed(error, heard));
  return { saw, headers, tookMs: performance.now() - startedAt };
}

function read(client: OpenAI, question: Question, heard: { text: string }): Promise<Saw> {
  switch (question.reading) {
    case "iterator":
      return iterate(client, question, heard);
    case "accumulator":
      return accumulate(client, question, heard);
    default:
      return whole(client, question);
  }
}

function bodyOf({ model, prompt, more }: Question) {
  return { model, messages: [{ role: "user" as const, content: prompt }], ...more };
}

async function iterate(client: OpenAI, question: Question, heard: { text: string }): Promise<Saw> {
  const body = { ...bodyOf(question), stream: true as const };
  const stream = await client.chat.completions.create(body, optionsOf(question));
  let finish: string | undefined;
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    heard.text += choice?.delta.content ?? "";
    finish = choice?.finish_reason ?? finish;
  }
  return { kind: "answer", text: heard.text, finish };
}

async function accumulate(
  client: OpenAI,
  question: Question,
  heard: { text: string },
): Promise<Saw> {
  const runner = client.chat.completions.stream(bodyOf(question), optionsOf(question));
  runner.on("content", (delta) => {
    heard.text += delta;
  });
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
