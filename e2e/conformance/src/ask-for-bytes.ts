// A stream read byte by byte, for what the official client hides: comments, ids, roles, usage that nobody asked for.

import { localKey } from "@meridian/harness";
import { type Asked, bodyOf, type Question, type Saw } from "./question.ts";

type Chunk = {
  readonly id?: string;
  readonly usage?: object | null;
  readonly error?: { readonly message?: string; readonly code?: string };
  readonly choices?: readonly {
    readonly finish_reason?: string | null;
    readonly delta?: { readonly content?: string; readonly role?: string };
  }[];
};

/** Never throws for what the other side does. */
export async function askForBytes(question: Question): Promise<Asked> {
  const startedAt = performance.now();
  let headers = new Headers();
  let text = "";
  let failure: unknown;
  try {
    const response = await fetch(`${question.endpoint}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${localKey}` },
      body: JSON.stringify({ ...bodyOf(question), stream: true }),
      ...(question.signal === undefined ? {} : { signal: question.signal }),
    });
    headers = response.headers;
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) text += decoder.decode(piece, { stream: true });
    if (response.status !== 200) failure = new Error(`status ${response.status}`);
  } catch (cause) {
    failure = cause;
  }
  const chunks = chunksOf(text);
  return {
    saw: sawOf(chunks, text, failure),
    headers,
    tookMs: performance.now() - startedAt,
    bytes: {
      comments: [...text.matchAll(/^:(.*)$/gm)].map((found) => (found[1] ?? "").trim()),
      ids: [...new Set(chunks.flatMap(({ id }) => (id === undefined ? [] : [id])))],
      roles: chunks.filter((each) => each.choices?.[0]?.delta?.role !== undefined).length,
      usages: chunks.filter((each) => (each.usage ?? null) !== null).length,
    },
  };
}

function chunksOf(text: string): readonly Chunk[] {
  return [...text.matchAll(/^data: (\{.*\})$/gm)].map(
    // What the proxy sends is JSON; a test that gets anything else fails here.
    (found) => JSON.parse(found[1] ?? "") as Chunk,
  );
}

/** A stream is an answer only with its sentinel, here: bytes have no reader that could be lenient. */
function sawOf(chunks: readonly Chunk[], text: string, failure: unknown): Saw {
  const said = chunks.map((each) => each.choices?.[0]?.delta?.content ?? "").join("");
  const error = chunks.find((each) => each.error !== undefined)?.error;
  if (error === undefined && failure === undefined && text.endsWith("data: [DONE]\n\n")) {
    const finish = chunks.map((each) => each.choices?.[0]?.finish_reason).findLast((each) => each);
    return { kind: "answer", text: said, finish: finish ?? undefined };
  }
  return {
    kind: "error",
    text: said,
    status: undefined,
    code: error?.code,
    message: error?.message ?? String(failure ?? "the stream just ended"),
    isApiError: error !== undefined,
  };
}
