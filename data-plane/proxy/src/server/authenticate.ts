// Who asks. Keys are compared by their SHA-256 alone: a look-up by hash tells nothing about the keys that exist.

import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { anonymous, type Serving } from "@meridian/data-core/engine";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";

/** The tenant of a client's request. The key goes no further than this function. */
export function authenticate(
  serving: Serving,
  headers: IncomingHttpHeaders,
): Result<string, Problem> {
  if (serving.open) return ok(anonymous);
  const key = presentedKey(headers);
  const tenant = serving.tenantByKeyHash(hash("sha256", key ?? "", "hex"));
  if (tenant !== undefined && key !== undefined) return ok(tenant);
  const message = key === undefined ? "no API key was given" : "the API key is not known";
  return err(problem("invalid_api_key", "", message, "send Authorization: Bearer YOUR_KEY"));
}

function presentedKey(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? single(headers["x-api-key"]) ?? single(headers["api-key"]);
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
