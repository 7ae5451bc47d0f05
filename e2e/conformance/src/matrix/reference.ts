// What a model server would say if nobody disturbed it, asked of it directly: the measure of every answer.

import { localKey } from "@meridian/harness";
import { wholeTokensMax } from "./oracle.ts";

export type Reference = { readonly prompt: string; readonly tokens: readonly string[] };

/** Long enough for a fault at token 20; not longer than what whole answers are allowed. */
const tokensMin = 22;
const promptsMax = 400;

/** A prompt with an answer of a fit length, and that answer token by token. */
export async function referenceFor(origin: string, model: string): Promise<Reference> {
  for (let turn = 0; turn < promptsMax; turn++) {
    const prompt = `Which way to the sea, by road ${turn}?`;
    const tokens = await streamed(origin, model, prompt);
    if (tokens.length >= tokensMin && tokens.length <= wholeTokensMax) return { prompt, tokens };
  }
  throw new Error(`${model} has no answer of ${tokensMin} to ${wholeTokensMax} tokens`);
}

async function streamed(origin: string, model: string, prompt: string): Promise<readonly string[]> {
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${localKey}` },
    body: JSON.stringify({
      model,
      stream: true,
      max_tokens: wholeTokensMax + 1,
      messages: [{ role: "user", content: prompt }],
    }),
  });
  const text = await response.text();
  return [...text.matchAll(/^data: (\{.*\})$/gm)]
    .map((found) => contentOf(JSON.parse(found[1] ?? "")))
    .filter((each) => each !== "");
}

function contentOf(value: unknown): string {
  // A chunk of a well-behaved server.
  const chunk = value as {
    readonly choices?: readonly { readonly delta?: { content?: string } }[];
  };
  return chunk.choices?.[0]?.delta?.content ?? "";
}
