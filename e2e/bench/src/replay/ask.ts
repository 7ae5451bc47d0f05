// One request as a client without mercy sends it: what does not end as the protocol says has failed.

import type { Dispatcher } from "undici";

export type Question = {
  readonly model: string;
  readonly prompt: string;
  readonly outputTokens: number;
  /** The client leaves after so long; default a minute. */
  readonly patienceMs?: number;
};

/** How one attempt at one endpoint ended. Times in milliseconds since the attempt began. */
export type Outcome =
  | {
      readonly kind: "answered";
      readonly firstTokenMs: number;
      readonly totalMs: number;
      readonly by: Server;
    }
  /** Nothing of an answer was seen: the client may ask elsewhere. */
  | { readonly kind: "unreached"; readonly cause: string }
  | {
      readonly kind: "failed";
      readonly cause: string;
      readonly wasStreaming: boolean;
      readonly by: Server;
    };

/** Who answered, and how long the proxy held the request before, as the response's headers say. */
type Server = {
  readonly region: string;
  readonly backend: string;
  readonly heldMs: number;
  /** By which `meridian explain` finds it. */
  readonly decision: string;
};

const nobody: Server = { region: "", backend: "", heldMs: 0, decision: "" };

const defaultPatienceMs = 60_000;

/** Streams one chat completion and checks its end: every token, a finish reason, usage, the sentinel. */
export async function ask(
  dispatcher: Dispatcher,
  origin: string,
  question: Question,
  key: string,
): Promise<Outcome> {
  const startedMs = performance.now();
  const reading: Reading = { text: "", firstTokenMs: undefined, isFinished: false, isDone: false };
  let by = nobody;
  try {
    const { statusCode, headers, body } = await dispatcher.request({
      origin,
      path: "/v1/chat/completions",
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: requestBody(question),
      signal: AbortSignal.timeout(question.patienceMs ?? defaultPatienceMs),
    });
    by = serverOf(headers);
    if (statusCode !== 200) {
      const text = await body.text();
      return {
        kind: "failed",
        cause: `status ${statusCode} ${codeOf(text)}`,
        wasStreaming: false,
        by,
      };
    }
    body.setEncoding("utf8");
    for await (const chunk of body) read(reading, String(chunk), startedMs);
  } catch (error) {
    // Somebody's mistake, whatever was killed.
    if (error instanceof SyntaxError) {
      return { kind: "failed", cause: "malformed frame", wasStreaming: false, by };
    }
    const cause = error instanceof Error && "code" in error ? String(error.code) : String(error);
    // A proxy says in the stream what happened, and then cuts it.
    if (reading.error !== undefined) return judge(reading, { question, startedMs, by });
    if (reading.firstTokenMs === undefined) return { kind: "unreached", cause };
    return { kind: "failed", cause: `cut mid-stream (${cause})`, wasStreaming: true, by };
  }
  return judge(reading, { question, startedMs, by });
}

type Reading = {
  /** What has come since the last whole line. */
  text: string;
  firstTokenMs: number | undefined;
  isFinished: boolean;
  isDone: boolean;
  completionTokens?: number;
  error?: string;
};

/** Takes a piece of the event stream in. */
function read(reading: Reading, chunk: string, startedMs: number): void {
  const lines = (reading.text + chunk).split("\n");
  reading.text = lines.pop() ?? "";
  for (const line of lines) {
    if (!line.startsWith("data:")) continue;
    const data = line.slice(5).trim();
    if (data === "[DONE]") reading.isDone = true;
    else readFrame(reading, data, startedMs);
  }
}

type Frame = {
  readonly error?: { readonly code?: string; readonly message?: string };
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly completion_tokens?: number } | null;
};

function readFrame(reading: Reading, data: string, startedMs: number): void {
  // A chunk of the protocol; whatever is missing counts as a failure at the end.
  const frame = JSON.parse(data) as Frame;
  if (frame.error !== undefined) reading.error = frame.error.code ?? frame.error.message ?? "error";
  const [choice] = frame.choices ?? [];
  if ((choice?.delta?.content ?? "") !== "") reading.firstTokenMs ??= performance.now() - startedMs;
  if (typeof choice?.finish_reason === "string") reading.isFinished = true;
  if (typeof frame.usage?.completion_tokens === "number") {
    reading.completionTokens = frame.usage.completion_tokens;
  }
}

function judge(
  reading: Reading,
  asked: { readonly question: Question; readonly startedMs: number; readonly by: Server },
): Outcome {
  const { by, question } = asked;
  const { firstTokenMs } = reading;
  const wasStreaming = firstTokenMs !== undefined;
  const fail = (cause: string): Outcome => ({ kind: "failed", cause, wasStreaming, by });
  if (reading.error !== undefined) return fail(`error in the stream: ${reading.error}`);
  if (!reading.isFinished) return fail("ended without a finish reason");
  if (!reading.isDone) return fail("ended without the sentinel");
  if (firstTokenMs === undefined) return fail("ended without a token");
  if (reading.completionTokens !== question.outputTokens) {
    return fail(`${reading.completionTokens} tokens of ${question.outputTokens}`);
  }
  return { kind: "answered", firstTokenMs, totalMs: performance.now() - asked.startedMs, by };
}

function requestBody({ model, prompt, outputTokens }: Question): string {
  return JSON.stringify({
    model,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: outputTokens,
    // As load generators for vLLM do: the answer has the recorded length.
    ignore_eos: true,
    messages: [{ role: "user", content: prompt }],
  });
}

type ResponseHeaders = Dispatcher.ResponseData["headers"];

/** Who answered, by the response's headers. */
export function serverOf(headers: ResponseHeaders): Server {
  return {
    region: String(headers["x-meridian-region"] ?? ""),
    backend: String(headers["x-meridian-backend"] ?? ""),
    heldMs: heldMsOf(headers["server-timing"]),
    decision: String(headers["x-meridian-decision"] ?? ""),
  };
}

function heldMsOf(serverTiming: string | readonly string[] | undefined): number {
  const held = /queue;dur=([\d.]+)/.exec(String(serverTiming ?? ""));
  return Number(held?.[1] ?? 0);
}

function codeOf(text: string): string {
  try {
    const body: { readonly error?: { readonly code?: unknown } } = JSON.parse(text);
    return String(body.error?.code ?? "");
  } catch {
    return text.slice(0, 40);
  }
}
