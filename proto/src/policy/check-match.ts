// What routes ask of requests, and what makes requests one session: names of headers, patterns, paths.

import type { HeaderMatch, Match, Route } from "../gen/meridian/v1/policy_pb.ts";
import { type Findings, quote } from "./findings.ts";
import { checkReference, checkUnique, type PolicyIndex } from "./policy-index.ts";

/** A request is read for as many; a proxy passes them on to other regions. */
const headersMax = 32;

/** RFC 9110, 5.1: a token. */
const headerForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

/** They carry keys, which a policy shall never hold, and proxies pass on to nobody. */
const secret: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "x-api-key",
  "api-key",
]);

/** They speak of one connection or one message, or a proxy writes them itself: another region would see other values. */
const reserved: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "grpc-timeout",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-request-id",
  "x-request-timeout-ms",
]);

export function checkMatch(index: PolicyIndex, match: Match, path: string): void {
  const { findings } = index;
  for (const [place, name] of match.tenants.entries()) {
    checkReference(index, { kind: "tenant", name, path: `${path}.tenants[${place}]` });
  }
  checkUnique(match.models, `${path}.models`, findings);
  checkUnique(match.tenants, `${path}.tenants`, findings);
  checkUnique(match.protocols.map(String), `${path}.protocols`, findings);
  checkUnique(match.paths, `${path}.paths`, findings);
  for (const [place, pattern] of match.paths.entries()) {
    checkPath(pattern, `${path}.paths[${place}]`, findings);
  }
  checkHeaders(match.headers, `${path}.headers`, findings);
}

export function checkAffinity({ affinity }: Route, path: string, findings: Findings): void {
  if (affinity === undefined) return;
  const { header } = affinity;
  if (header !== header.toLowerCase()) {
    const message = `${quote(header)} has capitals`;
    findings.refuse("invalid_header", `${path}.header`, message, `write ${header.toLowerCase()}`);
    return;
  }
  checkHeaderName(header, `${path}.header`, findings);
}

function checkPath(pattern: string, path: string, findings: Findings): void {
  if (/^[/*][^\s?#]*$/.test(pattern)) return;
  const message = `${quote(pattern)} is no path`;
  findings.refuse("invalid_text", path, message, "it starts with / or *, and has no query");
}

function checkHeaders(headers: readonly HeaderMatch[], path: string, findings: Findings): void {
  if (headers.length > headersMax) {
    const message = `${headers.length} headers are more than ${headersMax}`;
    findings.refuse("too_large", path, message, "match fewer");
    return;
  }
  for (const [place, { name, value }] of headers.entries()) {
    checkHeaderName(name, `${path}[${place}].name`, findings);
    // RFC 9110, 5.5: what is between words of a value; the space around it does not belong to it.
    if (/^[!-~]([ -~]*[!-~])?$/.test(value)) continue;
    const message = `no header has the value ${quote(value)}`;
    const hint = "use ASCII, without space at either end";
    findings.refuse("invalid_text", `${path}[${place}].value`, message, hint);
  }
  const all = headers.map(({ name, value }) => `${name.toLowerCase()}: ${value}`);
  checkUnique(all, path, findings);
}

/** Routes and sessions may go by it. A proxy asks again: what a snapshot names in spite of it is never read. */
export function isReadableHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return headerForm.test(name) && !secret.has(lower) && !isReserved(lower);
}

function isReserved(name: string): boolean {
  return reserved.has(name) || name.startsWith("x-meridian-");
}

function checkHeaderName(name: string, path: string, findings: Findings): void {
  const lower = name.toLowerCase();
  if (!headerForm.test(name)) {
    const message = `${quote(name)} can't be a header's name`;
    findings.refuse("invalid_header", path, message, "use letters, digits and hyphens");
  } else if (secret.has(lower)) {
    const hint = "tell clients apart by their tenants, sessions by a header of their own";
    findings.refuse("secret_header", path, `${lower} holds a secret`, hint);
  } else if (isReserved(lower)) {
    const hint = "use a header that clients alone write";
    findings.refuse("reserved_header", path, `${lower} is for proxies alone`, hint);
  }
}
