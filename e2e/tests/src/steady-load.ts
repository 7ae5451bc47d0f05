// Requests at a steady rate, whatever becomes of them: what clients see while a test does harm.

import { localKey } from "@meridian/harness";

export type SteadyLoad = {
  /** Answers that were no 200, or none at all, in words. */
  readonly errors: readonly string[];
  /** Resolves when the last request has ended; how many there were. */
  readonly stop: () => Promise<number>;
};

/** Short chats. Not streamed: every failure is one before the first token. */
export function startLoad(
  endpoint: string,
  model: string,
  perSecond: number,
  stream = false,
): SteadyLoad {
  const errors: string[] = [];
  const live = new Set<Promise<void>>();
  let count = 0;
  const timer = setInterval(() => {
    count += 1;
    const one: Promise<void> = ask(endpoint, { model, stream })
      .catch((cause: unknown) => String(cause))
      .then((error) => {
        if (error !== undefined) errors.push(error);
        live.delete(one);
      });
    live.add(one);
  }, 1_000 / perSecond);
  return {
    errors,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(live);
      return count;
    },
  };
}

/** undefined: it was answered. */
async function ask(
  endpoint: string,
  question: { readonly model: string; readonly stream: boolean },
): Promise<string | undefined> {
  const answer = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${localKey}`, "content-type": "application/json" },
    body: JSON.stringify({
      ...question,
      max_tokens: 4,
      messages: [{ role: "user", content: "Where?" }],
    }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await answer.text();
  const isWhole = !question.stream || text.trimEnd().endsWith("data: [DONE]");
  return answer.status === 200 && isWhole ? undefined : `${answer.status} ${text.slice(0, 200)}`;
}
