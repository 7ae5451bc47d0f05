// Whose fault a model server's refusal (4xx) is: the request's, which every other target would refuse too, or the target's
// own. In the dialects of OpenAI, Azure, vLLM, SGLang, llama.cpp, Ollama, TGI, FastAPI and gateways like LiteLLM.

import type { ByteText } from "../byte-text.ts";
import type { RefusalReading } from "../protocol.ts";
import { isRecord } from "./error-object.ts";

/**
 * The target's: a model or adapter that it does not have (another may), a key or account that it does not take (they are
 * ours), an ability that its operator did not switch on, a fault of its own under a status of the client's. A page that is
 * no JSON was written by something in front of the model server, which knows nothing of the request; but 413 is about
 * size, whoever says it.
 *
 * The request's: everything else. So is a prompt beyond the context, and a parameter that a model does not take: the
 * targets of a pool run the same model, and the client needs the message.
 */
export function readRefusal(status: number, body: ByteText): RefusalReading {
  if (status === 413) return "request";
  const value = parse(body);
  if (!isRecord(value)) return "target";
  const { code, type, message } = wordsOf(value);
  if (requestCodes.has(code)) return "request";
  if (targetCodes.has(code) || targetCodes.has(type)) return "target";
  if (tooLong.test(message)) return "request";
  return targetMessages.some((each) => each.test(message)) ? "target" : "request";
}

/** Lower case, as code or as type. */
const targetCodes: ReadonlySet<string> = new Set([
  // Models: OpenAI, vLLM and SGLang, Anthropic's shape, Azure, Groq, Together.
  "model_not_found",
  "notfounderror",
  "not_found_error",
  "deploymentnotfound",
  "model_decommissioned",
  "model_not_available",
  // Keys and accounts: OpenAI, vLLM, gateways.
  "invalid_api_key",
  "authenticationerror",
  "authentication_error",
  "permission_error",
  "insufficient_quota",
  "billing_error",
  // Its own faults: vLLM, OpenAI.
  "internalservererror",
  "internal_server_error",
  "server_error",
]);

const requestCodes: ReadonlySet<string> = new Set([
  "context_length_exceeded",
  "exceed_context_size_error",
  "unsupported_parameter",
  "unsupported_value",
]);

/** Messages that speak of a model and its limits, but not of a missing one. */
const tooLong = /\bcontext (length|window|size)\b|\btoo (long|large)\b|\binput tokens\b/i;

/** A name in quotes or without, and what may stand around it: no more, so that "model m: file not found" is none. */
const name = String.raw`(\s+(name|id|adapters?|passed in model))*[\s:=]*([\x60'"{\[]?[\w./:@+ -]{0,200}?[\x60'"}\]]?)?\s*`;
const missing =
  "(does not exist|do not exist|doesn't exist|(was |is |are |be )?not (be )?found|cannot be found|" +
  "(is|are) (not (loaded|available|served|registered|ready)|unknown)|(has|have) (never been loaded|been decommissioned))";

const targetMessages: readonly RegExp[] = [
  new RegExp(String.raw`\b(model|deployment|adapter|adapters|lora)${name}${missing}`, "i"),
  /\bno such (model|adapter|deployment)\b/i,
  /\b(unknown|invalid|unrecognized) (model|adapter)( name| id| identifier)?\b(?! (output|input|response|parameter))/i,
  /\bmodel identifier is invalid\b/i,
  /\bthat has never been loaded\b/i,
  /\bAPI key\b.{0,80}\b(invalid|incorrect|not valid|missing|expired)\b|\b(invalid|incorrect|missing|expired) API key\b/i,
  /\bcredit balance is too low\b/i,
  // An ability that is a matter of how the server was started: vLLM, llama.cpp.
  /\brequires? (the )?--[a-z]|\bstart (it|the server) with\b|\brequires? `?--|--enable-[a-z-]+/i,
];

type Words = { readonly code: string; readonly type: string; readonly message: string };

/** Messages beyond this are no sentences; the rest would only cost time. */
const messageMax = 2_000;

/** As the server wrote them: to be matched, never to be shown. */
function wordsOf(value: { readonly [name: string]: unknown }): Words {
  const error = isRecord(value.error) ? value.error : value;
  const { code, type } = error;
  const told = [error.message, value.error, value.message, value.detail, error.detail];
  const message = told.find((each) => typeof each === "string");
  return {
    code: typeof code === "string" ? code.toLowerCase() : "",
    type: typeof type === "string" ? type.toLowerCase() : "",
    message: typeof message === "string" ? message.slice(0, messageMax) : "",
  };
}

function parse(body: ByteText): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // Not JSON: the caller says what that means.
    return undefined;
  }
}
