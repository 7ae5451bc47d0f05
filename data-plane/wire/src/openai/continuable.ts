// Which requests' answers may go on from another server when they break off: those that are one run of plain text.

import type { RequestKind } from "../protocol.ts";
import { isRecord } from "./error-object.ts";

type Fields = { readonly [name: string]: unknown };

/**
 * Structure is kept by a grammar that would start anew, and figures for each token (log-probabilities, ids) would not fit
 * across the seam. The names are OpenAI's, vLLM's (guided_*, structured_outputs, prompt_logprobs), SGLang's (regex, ebnf)
 * and llama.cpp's (grammar, json_schema).
 */
const excluding = [
  "logprobs",
  "top_logprobs",
  "prompt_logprobs",
  "return_token_ids",
  "return_hidden_states",
  "echo",
  "audio",
  "structured_outputs",
  "guided_json",
  "guided_regex",
  "guided_choice",
  "guided_grammar",
  "regex",
  "ebnf",
  "grammar",
  "json_schema",
] as const;

/**
 * One choice of plain text. Tools may be offered; a call that breaks within ends with the error, which is the tap's
 * matter. Where a call is demanded there will be no text to go on from.
 */
export function isContinuable(kind: RequestKind, fields: Fields, choices: number): boolean {
  if (kind === "embedding" || choices !== 1) return false;
  for (const name of excluding) if (isSet(fields[name])) return false;
  const { response_format: format } = fields;
  if (isSet(format) && !(isRecord(format) && format.type === "text")) return false;
  return kind === "completion" ? isPlainPrompt(fields) : isPlainChat(fields);
}

function isPlainPrompt({ prompt, best_of: best, suffix }: Fields): boolean {
  const isOne = !isSet(best) || best === 1;
  return typeof prompt === "string" && isOne && (!isSet(suffix) || suffix === "");
}

function isPlainChat({ messages, modalities, tool_choice, function_call }: Fields): boolean {
  if (demandsCall(tool_choice) || demandsCall(function_call)) return false;
  if (Array.isArray(modalities) && modalities.some((each) => each !== "text")) return false;
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  if (!isRecord(last)) return false;
  // Words that the client put into the assistant's mouth are gone on from; more than words can't be.
  return last.role !== "assistant" || (typeof last.content === "string" && !hasCalls(last));
}

function demandsCall(choice: unknown): boolean {
  return choice === "required" || isRecord(choice);
}

function hasCalls(message: Fields): boolean {
  return isSet(message.tool_calls) || isSet(message.function_call);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}
