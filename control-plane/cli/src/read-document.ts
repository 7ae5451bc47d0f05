// A policy's file, or standard input. The size is checked before anything is parsed.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { documentBytesMax } from "@meridian/proto/policy";
import { exitCodes, type Failure } from "./outcome.ts";
import { parseDocument } from "./parse-document.ts";

/** What stops a document: a file that can't be read, or problems in what it says. */
export type DocumentFault =
  | { readonly kind: "failure"; readonly failure: Failure }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

/** Reads a file, or standard input for "-". */
export async function readDocument(file: string): Promise<Result<Uint8Array, DocumentFault>> {
  const bytes = await readBounded(file);
  if (bytes.kind === "err") return bytes;
  const parsed = parseDocument(bytes.value);
  return parsed.kind === "ok" ? parsed : err({ kind: "problems", problems: parsed.error });
}

async function readBounded(file: string): Promise<Result<Uint8Array, DocumentFault>> {
  try {
    if (file === "-") return await collect(process.stdin);
    const { size } = await stat(file);
    if (size > documentBytesMax) return tooLarge(`${size} bytes`);
    // A pipe or a file that still grows tells no size: never more than one byte too many is read.
    return await collect(createReadStream(file, { end: documentBytesMax }));
  } catch (cause) {
    const message = `${file} can't be read: ${cause instanceof Error ? cause.message : cause}`;
    return err({ kind: "failure", failure: { code: exitCodes.usage, message } });
  }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Result<Uint8Array, DocumentFault>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > documentBytesMax) return tooLarge("more bytes than that");
  }
  return ok(Buffer.concat(chunks));
}

function tooLarge(size: string): Result<never, DocumentFault> {
  const message = `at most ${documentBytesMax} bytes are taken, and the document has ${size}`;
  const hint = "split the policy, or shorten it";
  return err({ kind: "problems", problems: [problem("too_large", "", message, hint)] });
}
