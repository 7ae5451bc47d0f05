// Where the prompt of a request in OpenAI's protocol begins.

import type { ByteText } from "../byte-text.ts";
import { findStart } from "../json-splice.ts";
import type { RequestKind } from "../protocol.ts";

const fields: { readonly [K in RequestKind]: string } = {
  chat: "messages",
  completion: "prompt",
  embedding: "input",
};

/** Tools stand elsewhere: clients that share a system prompt share them too. */
export function findPrompt(kind: RequestKind, body: ByteText): number | undefined {
  return findStart(body, fields[kind]);
}
