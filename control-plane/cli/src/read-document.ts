// A policy's file, as YAML or JSON, to the JSON that a control plane takes. The size is checked before anything is parsed.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { documentBytesMax } from "@meridian/proto/policy";
import type { Document } from "yaml";
import { exitCodes, type Failure } from "./outcome.ts";

/** What stops a document: a file that can't be read, or problems in what it says. */
export type DocumentFault =
  | { readonly kind: "failure"; readonly failure: Failure }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

/** Aliases that a document may unfold in all; more is a bomb, not a policy. */
const aliasCountMax = 100;

/** Reads a file, or standard input for "-". */
export async function readDocument(file: string): Promise<Result<Uint8Array, DocumentFault>> {
  const bytes = await readBounded(file);
  if (bytes.kind === "err") return bytes;
  const parsed = await parseDocument(bytes.value);
  return parsed.kind === "ok" ? parsed : err({ kind: "problems", problems: parsed.error });
}

/** YAML 1.2, of which JSON is a part, to JSON in UTF-8. All syntax problems at once, with line and column. */
export async function parseDocument(
  bytes: Uint8Array,
): Promise<Result<Uint8Array, readonly Problem[]>> {
  const text = decode(bytes);
  if (text === undefined) {
    return err([problem("invalid_text", "", "the file is not text in UTF-8", "save it as UTF-8")]);
  }
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(text, { uniqueKeys: true, prettyErrors: true });
  const [document, ...others] = documents;
  if (document === undefined) return err([emptyDocument()]);
  if (others.length > 0) {
    const message = `the file holds ${documents.length} documents`;
    return err([problem("several_documents", "", message, "a policy is one document")]);
  }
  const problems = document.errors.map((each) =>
    problem("broken_yaml", placeOf(each.linePos), firstLine(each.message), yamlHint(each.code)),
  );
  return problems.length > 0 ? err(problems) : unfold(document);
}

function unfold(document: Document.Parsed): Result<Uint8Array, readonly Problem[]> {
  try {
    const value: unknown = document.toJS({ maxAliasCount: aliasCountMax });
    if (value === null || value === undefined) return err([emptyDocument()]);
    return ok(new TextEncoder().encode(JSON.stringify(value)));
  } catch (cause) {
    // The library throws for aliases beyond the limit; a key such as __proto__ is left to the policy's own check.
    const message = cause instanceof Error ? firstLine(cause.message) : String(cause);
    return err([problem("broken_yaml", "", message, "write repeated parts out")]);
  }
}

function emptyDocument(): Problem {
  return problem("empty_document", "", "the document is empty", "a policy has at least one region");
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

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function placeOf(position: readonly { line: number; col: number }[] | undefined): string {
  const [start] = position ?? [];
  return start === undefined ? "" : `line ${start.line}, column ${start.col}`;
}

/** What to do about the mistakes that people make most; "" for the rest. */
function yamlHint(code: string): string {
  switch (code) {
    case "DUPLICATE_KEY":
      return "keep one of the two";
    case "TAB_AS_INDENT":
      return "indent with blanks";
    case "BAD_INDENT":
      return "indent entries of one list or object alike";
    default:
      return "";
  }
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
}
