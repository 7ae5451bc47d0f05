// Finds the error in what a model server sent, in the dialects of OpenAI, vLLM, SGLang, TGI, llama.cpp and FastAPI.

import { decodeUtf8 } from "../byte-text.ts";

export type UpstreamError = {
  readonly message: string;
  readonly type: string | undefined;
  readonly code: string | undefined;
};

/** undefined: the value is no error. */
export function errorObject(value: unknown): UpstreamError | undefined {
  if (!isRecord(value)) return undefined;
  // SGLang: {"object":"error","message":…}
  if (value.object === "error") return describe(value);
  const error = value.error;
  if (error === undefined || error === null || error === false) return undefined;
  if (isRecord(error)) return describe(error);
  // TGI: {"error":"text","error_type":"generation"}
  return describe({ message: error, type: value.error_type });
}

const messageMax = 300;

/** Text that may carry hosts, paths, stack traces or keys is not for clients. */
const unfit = /https?:\/\/|Traceback|\bat .+:\d+|\/(usr|home|opt|root|var)\/|\bsk-|Bearer /;

/** What a client may read of a model server's message. */
export function presentable(message: string): string {
  const text = decodeUtf8(message).trim();
  if (text === "" || unfit.test(text)) return "the model server reported an error";
  return `the model server reported: ${text.slice(0, messageMax)}`;
}

function describe(error: Record): UpstreamError {
  return {
    message: presentable(typeof error.message === "string" ? error.message : ""),
    type: typeof error.type === "string" ? error.type : undefined,
    code: typeof error.code === "string" ? error.code : undefined,
  };
}

type Record = { readonly [name: string]: unknown };

export function isRecord(value: unknown): value is Record {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
