// One request for a whole answer, checked as ../../replay/ask.ts checks a stream: nothing of it is seen before its end.

import type { Dispatcher } from "undici";
import { type Outcome, type Question, serverOf } from "../../replay/ask.ts";

const timeoutMs = 60_000;

type Whole = {
  readonly choices?: readonly {
    readonly message?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
};

export async function askWhole(
  dispatcher: Dispatcher,
  origin: string,
  { model, prompt, outputTokens }: Question,
  key: string,
): Promise<Outcome> {
  const startedMs = performance.now();
  try {
    const { statusCode, headers, body } = await dispatcher.request({
      origin,
      path: "/v1/chat/completions",
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({
        model,
        max_tokens: outputTokens,
        ignore_eos: true,
        messages: [{ role: "user", content: prompt }],
      }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await body.text();
    const by = serverOf(headers);
    const wrong = wrongWith(statusCode, text);
    if (wrong !== undefined) return { kind: "failed", cause: wrong, wasStreaming: false, by };
    const totalMs = performance.now() - startedMs;
    return { kind: "answered", firstTokenMs: totalMs, totalMs, by };
  } catch (error) {
    const cause = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { kind: "unreached", cause };
  }
}

/** undefined: it is an answer. */
function wrongWith(status: number, text: string): string | undefined {
  if (status !== 200) return `status ${status} ${text.slice(0, 120)}`;
  try {
    const [choice] = (JSON.parse(text) as Whole).choices ?? [];
    if ((choice?.message?.content ?? "") === "") return "ended without a token";
    return typeof choice?.finish_reason === "string" ? undefined : "ended without a finish reason";
  } catch {
    return `no JSON: ${text.slice(0, 40)}`;
  }
}
