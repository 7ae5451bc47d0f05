// Requests in OpenAI's protocol: the facts that routing needs.

import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { type ByteText, decodeUtf8 } from "../byte-text.ts";
import type { DecodedRequest, RequestKind } from "../protocol.ts";
import { isContinuable } from "./continuable.ts";
import { isRecord } from "./error-object.ts";

type Fields = { readonly [name: string]: unknown };

/** Names longer than this are no model's. */
const modelLengthMax = 512;

export function decodeRequest(
  kind: RequestKind,
  body: ByteText,
): Result<DecodedRequest, readonly Problem[]> {
  const parsed = parseBody(body);
  if (parsed.kind === "err") return parsed;
  const fields = parsed.value;
  const problems = checkFields(kind, fields);
  if (problems.length > 0 || typeof fields.model !== "string") return err(problems);
  const stream = kind !== "embedding" && fields.stream === true;
  const choices = choicesOf(kind, fields);
  return ok({
    kind,
    model: decodeUtf8(fields.model),
    stream,
    includeUsage: stream && wantsUsage(fields.stream_options),
    choices,
    outputTokensMax: outputTokensMax(fields),
    inputTokens: Math.ceil(inputCharacters(fields) / 4),
    namesUsage: fields.stream_options !== undefined,
    continuable: stream && isContinuable(kind, fields, choices),
  });
}

function parseBody(body: ByteText): Result<Fields, readonly Problem[]> {
  if (body.trim() === "") return err([invalid("", "the body is empty", "send a JSON object")]);
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) ? ok(value) : err([invalid("", "the body is not a JSON object")]);
  } catch {
    // The engine's own message quotes the body, which may hold a prompt.
    return err([problem("invalid_json", "", "we could not parse the body as JSON", jsonHint)]);
  }
}

const jsonHint = "check quotes, commas and the content length";

function checkFields(kind: RequestKind, fields: Fields): readonly Problem[] {
  const problems: Problem[] = [];
  const { model, stream, messages, stream_options: options, n } = fields;
  if (model === undefined) problems.push(missing("model"));
  else if (typeof model !== "string" || model === "" || model.length > modelLengthMax) {
    problems.push(invalid("model", `must be a text of 1 to ${modelLengthMax} characters`));
  }
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    problems.push(invalid("stream", "must be true or false"));
  }
  if (options !== undefined && options !== null && !isRecord(options)) {
    problems.push(invalid("stream_options", "must be an object"));
  }
  if (n !== undefined && n !== null && !(isWhole(n) && n >= 1 && n <= 128)) {
    problems.push(invalid("n", "must be a whole number from 1 to 128"));
  }
  if (kind === "chat") {
    if (messages === undefined) problems.push(missing("messages"));
    else if (!Array.isArray(messages)) problems.push(invalid("messages", "must be a list"));
  }
  for (const name of ["max_tokens", "max_completion_tokens"]) {
    const value = fields[name];
    if (value !== undefined && value !== null && !(isWhole(value) && value >= 0)) {
      problems.push(invalid(name, "must be a whole number, 0 or more"));
    }
  }
  return problems;
}

function missing(name: string): Problem {
  return problem("missing_field", name, "you must provide this parameter");
}

function invalid(path: string, message: string, hint = ""): Problem {
  return problem("invalid_value", path, message, hint);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value);
}

function wantsUsage(options: unknown): boolean {
  return isRecord(options) && options.include_usage === true;
}

/** Legacy completions answer each prompt of a list n times. */
function choicesOf(kind: RequestKind, fields: Fields): number {
  const n = isWhole(fields.n) ? fields.n : 1;
  const { prompt } = fields;
  const isList = kind === "completion" && Array.isArray(prompt) && typeof prompt[0] !== "number";
  return isList ? n * Math.max(1, prompt.length) : n;
}

function outputTokensMax(fields: Fields): number | undefined {
  const max = isWhole(fields.max_completion_tokens)
    ? fields.max_completion_tokens
    : fields.max_tokens;
  return isWhole(max) ? max * (isWhole(fields.n) ? fields.n : 1) : undefined;
}

function inputCharacters(fields: Fields): number {
  const { messages, prompt, input, tools, functions } = fields;
  return (
    countCharacters(messages, 0) +
    countCharacters(prompt, 0) +
    countCharacters(input, 0) +
    countCharacters(tools, 0) +
    countCharacters(functions, 0)
  );
}

/** An image counts as about 800 tokens, whatever its bytes. */
const imageCharacters = 3_200;
const depthMax = 32;

/** Characters of all texts; a number counts as a token (lists of token ids), an inline image by a flat rate. */
function countCharacters(value: unknown, depth: number): number {
  if (typeof value === "string") {
    return value.length > 64 && value.startsWith("data:") ? imageCharacters : value.length;
  }
  if (typeof value === "number") return 4;
  if (typeof value !== "object" || value === null || depth > depthMax) return 0;
  let sum = 0;
  if (Array.isArray(value)) {
    for (const each of value) sum += countCharacters(each, depth + 1);
    return sum;
  }
  for (const each of Object.values(value)) sum += countCharacters(each, depth + 1);
  return sum;
}
