// What the simulator's protocols have in common: each endpoint that generates is one Surface.

import type { Result } from "@meridian/proto/base";

/** A request to generate, whatever protocol it came in. */
export type Generation = {
  readonly model: string;
  readonly prompt: string;
  /** undefined: until the model stops by itself. */
  readonly maxTokens: number | undefined;
  readonly stream: boolean;
  /** OpenAI's stream_options.include_usage. */
  readonly usageInStream: boolean;
  /** vLLM's ignore_eos: go on to maxTokens. */
  readonly ignoreStop: boolean;
  /** The assistant's words that the answer goes on from; "": it starts anew. */
  readonly prefix: string;
  /** vLLM's echo: the prefix is said again. */
  readonly echo: boolean;
};

/** What a server does with a chat whose last message is the assistant's, in the words of Meridian's policy. */
export const assistantPrefixes = ["none", "append", "continue-final-message"] as const;
export type AssistantPrefix = (typeof assistantPrefixes)[number];

export type Finish = "stop" | "length";

export type Usage = {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
};

/** What every part of one answer repeats. */
export type Reply = {
  readonly id: string;
  readonly model: string;
  readonly createdSeconds: number;
  readonly usageInStream: boolean;
  readonly promptTokens: number;
};

export type Failure = { readonly status: number; readonly message: string; readonly code: string };

export type Surface = {
  readonly streamType: string;
  /** A wrong body gives the message for the client; all that is wrong, not the first thing. */
  readonly parse: (
    body: JsonObject,
    assistantPrefix: AssistantPrefix,
  ) => Result<Generation, string>;
  /** Frames before the first token; sent along with it. */
  readonly begin: (reply: Reply) => string;
  readonly token: (reply: Reply, text: string) => string;
  /** The frames of the end, the sentinel among them. */
  readonly end: (reply: Reply, finish: Finish, usage: Usage) => string;
  /** What `end` gave, without the sentinel. */
  readonly unsealed: (end: string) => string;
  /** Signs of life that are no token, in turn. */
  readonly heartbeats: (reply: Reply) => readonly string[];
  readonly whole: (reply: Reply, text: string, finish: Finish, usage: Usage) => JsonObject;
  readonly error: (failure: Failure) => unknown;
  readonly errorFrame: (message: string) => string;
  readonly brokenFrame: string;
};

export type JsonObject = { readonly [name: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text of a message's content: a string, or parts of which the texts count. */
export function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part) => (isObject(part) && typeof part.text === "string" ? part.text : ""))
    .join("");
}

/** A chat as one prompt; undefined when it is no list of messages. */
export function chatPrompt(messages: unknown): string | undefined {
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isObject))
    return undefined;
  return messages.map((each) => `${String(each.role)}: ${contentText(each.content)}\n`).join("");
}

/** Texts of an `input` or `prompt`: one text, several, or token ids. */
export function inputTexts(input: unknown): readonly string[] | undefined {
  if (typeof input === "string") return [input];
  if (!Array.isArray(input) || input.length === 0) return undefined;
  if (input.every((each) => typeof each === "string")) return input;
  if (input.every((each) => typeof each === "number")) return [input.join(" ")];
  return input.every(Array.isArray) ? input.map((each) => each.join(" ")) : undefined;
}

/** A limit of tokens: undefined when absent, NaN when it is none. */
export function tokenLimit(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "number" && Number.isInteger(value) && value >= 1 ? value : Number.NaN;
}

/** The checks that every surface makes; what is wrong, joined. */
export function complaints(parts: {
  readonly model: unknown;
  readonly prompt: string | undefined;
  readonly promptField: string;
  readonly maxTokens: number | undefined;
}): string | undefined {
  const found = [
    typeof parts.model === "string" && parts.model !== "" ? "" : "model: a name is required",
    parts.prompt === undefined ? `${parts.promptField}: required, and must not be empty` : "",
    Number.isNaN(parts.maxTokens) ? "the limit of tokens must be a whole number of at least 1" : "",
  ].filter((each) => each !== "");
  return found.length === 0 ? undefined : found.join("; ");
}

/** An event stream's frame, as OpenAI writes it. */
export function dataFrame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
