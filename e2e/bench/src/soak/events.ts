// What a client reads out of the bytes of a streamed answer in OpenAI's form.

export type EventReading = {
  readonly text: string;
  /** Events with content. */
  readonly tokens: number;
  readonly finishes: number;
  /** Events that carry usage: prompt's and answer's tokens. */
  readonly usages: readonly (readonly [number, number])[];
  readonly errors: number;
  readonly isDone: boolean;
  /** Events that are no JSON, or come after the end. */
  readonly strange: number;
  /** Bytes after the last whole event. */
  readonly rest: string;
};

/** What is read here of a chunk; all else is passed over. */
type Chunk = {
  readonly error?: unknown;
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }[];
};

export function readEvents(body: string): EventReading {
  const frames = body.split("\n\n");
  const rest = frames.pop() ?? "";
  let text = "";
  let tokens = 0;
  let finishes = 0;
  let errors = 0;
  let strange = 0;
  let isDone = false;
  const usages: (readonly [number, number])[] = [];
  for (const frame of frames) {
    // A comment is for nobody.
    if (frame.startsWith(":")) continue;
    if (isDone) strange += 1;
    if (frame === "data: [DONE]") {
      isDone = true;
      continue;
    }
    const chunk = parse(dataOf(frame));
    if (chunk === undefined) {
      strange += 1;
      continue;
    }
    if (chunk.error !== undefined) errors += 1;
    if (chunk.usage) usages.push([chunk.usage.prompt_tokens, chunk.usage.completion_tokens]);
    const [choice] = chunk.choices ?? [];
    const content = choice?.delta?.content ?? "";
    if (content !== "") tokens += 1;
    text += content;
    if (choice?.finish_reason) finishes += 1;
  }
  return { text, tokens, finishes, usages, errors, isDone, strange, rest };
}

function dataOf(frame: string): string {
  return frame.startsWith("data: ") ? frame.slice("data: ".length) : "";
}

function parse(text: string): Chunk | undefined {
  try {
    // Checked field by field where it is used.
    return JSON.parse(text) as Chunk;
  } catch {
    return undefined;
  }
}
