// A request's body as JSON, bounded.

import type { IncomingMessage } from "node:http";
import { err, ok, type Result } from "@meridian/proto/base";
import type { Failure } from "./surface.ts";

const bodyBytesMax = 64 * 1024 * 1024;

/** Calls back once, unless the client leaves first. */
export function readBody(
  request: IncomingMessage,
  done: (body: Result<unknown, Failure>) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bodyBytesMax) chunks.push(chunk);
  });
  request.on("end", () => done(parse(chunks, bytes)));
  // A client that leaves while it sends needs no answer.
  request.on("error", () => undefined);
}

function parse(chunks: readonly Buffer[], bytes: number): Result<unknown, Failure> {
  if (bytes > bodyBytesMax) {
    return err({ status: 413, message: "the body is too large", code: "request_too_large" });
  }
  try {
    return ok(JSON.parse(Buffer.concat(chunks).toString("utf8")));
  } catch {
    return err({ status: 400, message: "the body is no JSON", code: "invalid_json" });
  }
}
