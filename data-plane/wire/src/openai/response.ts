// Whole answers in OpenAI's protocol: is it one, what did it use, and the model's name as the client knows it.

import { asciiJson, type ByteText } from "../byte-text.ts";
import { findTopLevel, splice } from "../json-splice.ts";
import type { AnswerFault, AnswerOptions, AnswerReading, RequestKind, Usage } from "../protocol.ts";
import { abandonedMessage, contentOf, endOf } from "./choice-content.ts";
import { errorObject, isRecord } from "./error-object.ts";
import { readUsage } from "./usage.ts";

export function readAnswer(body: ByteText, options: AnswerOptions): AnswerReading {
  const value = parse(body);
  if (!isRecord(value)) return fault("malformed", "the model server's answer is no JSON object");
  const error = errorObject(value);
  if (error !== undefined) return fault("error-frame", error.message);
  const list = options.kind === "embedding" ? value.data : value.choices;
  if (!Array.isArray(list))
    return fault("malformed", `the answer has no ${listName(options.kind)}`);
  if (list.length === 0) return fault("empty", `the answer has no ${listName(options.kind)}`);
  const usage = readUsage(value.usage);
  if (list.some(isAbandoned)) return fault("error-frame", abandonedMessage);
  if (options.kind !== "embedding" && isSilent(list, usage)) {
    return fault("empty", "the answer says nothing");
  }
  return {
    kind: "answer",
    body: showModel(body, value.model, options),
    usage,
  };
}

/**
 * Nothing was said, and it was not for its length or a filter: unless the server says that it took tokens, it is no answer
 * but the sign of a server that does not work.
 */
function isSilent(choices: readonly unknown[], usage: Usage | undefined): boolean {
  if ((usage?.outputTokens ?? 0) > 0) return false;
  return choices.every((choice) => {
    if (!isRecord(choice)) return true;
    const { message, text } = choice;
    const content = contentOf(isRecord(message) ? { delta: message } : { text });
    return content === "none" && endOf(choice) !== "cause";
  });
}

function isAbandoned(choice: unknown): boolean {
  return isRecord(choice) && endOf(choice) === "abandoned";
}

function showModel(body: ByteText, model: unknown, options: AnswerOptions): ByteText {
  if (typeof model !== "string" || model === options.clientModel) return body;
  return splice(body, findTopLevel(body, "model"), asciiJson(options.clientModel));
}

function listName(kind: RequestKind): string {
  return kind === "embedding" ? "data" : "choices";
}

function fault(kind: AnswerFault["kind"], message: string): AnswerReading {
  return { kind: "fault", fault: { kind, message } };
}

function parse(body: ByteText): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // Not JSON: the caller says so.
    return undefined;
  }
}
