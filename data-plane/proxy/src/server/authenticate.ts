// Who asks. Keys are compared by their SHA-256 alone: a look-up by hash tells nothing about the keys that exist.

import { hash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
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

type Known = {
  readonly serving: Serving;
  readonly authorization: string;
  readonly tenant: Result<string, Problem>;
};

/** What each open connection said last: the same words under the same policy need no second hash. */
const knownBySocket = new WeakMap<object, Known>();

/** As `authenticate`, for a request on a connection that may have said who it is before. */
export function authenticateRequest(
  serving: Serving,
  { headers, socket }: IncomingMessage,
): Result<string, Problem> {
  const { authorization } = headers;
  const known = knownBySocket.get(socket);
  if (known?.serving === serving && known.authorization === authorization) return known.tenant;
  const tenant = authenticate(serving, headers);
  // With a key in another header the authorization alone would not tell the next request apart.
  if (authorization !== undefined && tenant.kind === "ok" && bearerOf(headers) !== undefined) {
    knownBySocket.set(socket, { serving, authorization, tenant });
  }
  return tenant;
}

function presentedKey(headers: IncomingHttpHeaders): string | undefined {
  return bearerOf(headers) ?? single(headers["x-api-key"]) ?? single(headers["api-key"]);
}

function bearerOf({ authorization = "" }: IncomingHttpHeaders): string | undefined {
  return /^Bearer\s+(\S+)\s*$/i.exec(authorization)?.[1];
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
