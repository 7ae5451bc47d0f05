// What is asked and answered in the proxy bench, byte for byte: the load generator, the scripted upstream and the check
// of each answer agree by this file alone.

/** Set in each request and found again in its answer, so that a mixed-up answer is noticed. */
export const nonceLength = 8;
export const models = ["bench-a", "bench-b", "bench-c", "bench-d"] as const;
/** Tokens of a streamed answer. */
export const tokensPerStream = 50;

const nonceMark = '"user":"';
const blankNonce = "0".repeat(nonceLength);
const askedModel = models[1];
const promptShort =
  "Name the three largest cities of Europe, and say in one sentence for each what it is known for.";
const largePromptBytes = 100_000;

export type BodyKind = "short" | "stream" | "large";

/** A body with a place for the nonce. */
export type Template = { readonly bytes: Buffer; readonly nonceAt: number };

export function requestBody(kind: BodyKind): Template {
  const prompt = kind === "large" ? longPrompt() : promptShort;
  const text = JSON.stringify({
    model: askedModel,
    user: blankNonce,
    messages: [
      { role: "system", content: "You are terse." },
      { role: "user", content: prompt },
    ],
    max_tokens: 256,
    temperature: 0.2,
    ...(kind === "stream" ? { stream: true } : {}),
  });
  return { bytes: Buffer.from(text), nonceAt: text.indexOf(nonceMark) + nonceMark.length };
}

/** About 700 bytes, as a model server answers a short question. */
export function wholeAnswer(): Template {
  return answerTemplate(
    JSON.stringify({
      id: `chatcmpl-${blankNonce}`,
      object: "chat.completion",
      created: 1_760_000_000,
      model: askedModel,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "A city on a river, known to all. ".repeat(12) },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 40, completion_tokens: 96, total_tokens: 136 },
    }),
  );
}

/** The parts of a streamed answer as a model server writes them, each with one nonce. */
export function streamParts(): {
  /** The role and the first token: one write. */
  readonly first: string;
  readonly token: string;
  readonly last: string;
  /** Sent before the end when the request asks for usage. */
  readonly usage: string;
} {
  const role = event([
    { index: 0, delta: { role: "assistant", content: "" }, finish_reason: null },
  ]);
  const token = event([{ index: 0, delta: { content: " token" }, finish_reason: null }]);
  const usage = { prompt_tokens: 40, completion_tokens: tokensPerStream, total_tokens: 90 };
  return {
    first: role + token,
    token,
    last: event([{ index: 0, delta: {}, finish_reason: "stop" }]),
    usage: event([], { usage }),
  };
}

export const streamEnd = "data: [DONE]\n\n";

/** All that a client gets of a streamed answer. */
export function streamedAnswer(nonce: string): Buffer {
  const { first, token, last } = streamParts();
  const text = first + token.repeat(tokensPerStream - 1) + last;
  return Buffer.from(text.replaceAll(blankNonce, nonce) + streamEnd);
}

export function withNonce(text: string, nonce: string): string {
  return text.replaceAll(blankNonce, nonce);
}

/** The nonce of a request, from its body; undefined: not one of ours. */
export function nonceOf(body: Buffer): string | undefined {
  const at = body.indexOf(nonceMark, 0, "latin1");
  if (at < 0) return undefined;
  const from = at + nonceMark.length;
  return body.toString("latin1", from, from + nonceLength);
}

/** A number as a nonce. */
export function nonceFrom(number: number): string {
  return number.toString(36).padStart(nonceLength, "0");
}

function event(choices: readonly object[], more: object = {}): string {
  const chunk = {
    id: `chatcmpl-${blankNonce}`,
    object: "chat.completion.chunk",
    created: 1_760_000_000,
    model: askedModel,
    choices,
    ...more,
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function answerTemplate(text: string): Template {
  return { bytes: Buffer.from(text), nonceAt: text.indexOf(blankNonce) };
}

function longPrompt(): string {
  const sentence = 'The record of day 17 says: "nothing was found", and so the search went on. ';
  return sentence.repeat(Math.ceil(largePromptBytes / sentence.length)).slice(0, largePromptBytes);
}
