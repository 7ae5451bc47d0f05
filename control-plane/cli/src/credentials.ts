// The operator's certificate from its folder, and what may keep a control plane from accepting it.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import { err, ok, type Result } from "@meridian/proto/base";
import { exitCodes, type Failure } from "./outcome.ts";
import { oneLine } from "./printable.ts";

export type OperatorCredentials = {
  readonly channel: ChannelCredentials;
  /** Why a control plane may end the connection; "" where nothing speaks against the certificate. */
  readonly doubt: string;
};

const makeOne =
  "meridian pki issue --role operator --name YOU --authority PKI/ca --out DIR (PKI: the folder of meridian pki init)";

/** Reads ca.pem, cert.pem and key.pem; what is missing is told with the way to make it. now: milliseconds since 1970. */
export function openCredentials(folder: string, now: number): Result<OperatorCredentials, Failure> {
  const names = ["ca.pem", "cert.pem", "key.pem"] as const;
  const read = names.map((name) => readFile(join(folder, name)));
  const missing = names.filter((_, at) => read[at]?.kind !== "ok");
  const [authority, certificate, key] = read.flatMap((each) =>
    each.kind === "ok" ? [each.value] : [],
  );
  if (authority === undefined || certificate === undefined || key === undefined) {
    const causes = read.flatMap((each) => (each.kind === "err" ? [each.error] : []));
    return err(noCertificate(folder, missing, causes));
  }
  try {
    const channel = credentials.createSsl(authority, key, certificate);
    return ok({ channel, doubt: doubtOf({ authority, certificate, folder }, now) });
  } catch (cause) {
    const said = oneLine(cause instanceof Error ? cause.message : String(cause));
    const message = `the certificate in ${folder} can't be used: ${said}\n  make a new one: ${makeOne}`;
    return err({ code: exitCodes.usage, message });
  }
}

/** A server that refuses a certificate ends the connection without a word, so that the reason is looked for here. */
function doubtOf(
  files: { readonly authority: Buffer; readonly certificate: Buffer; readonly folder: string },
  now: number,
): string {
  const certificate = new X509Certificate(files.certificate);
  if (Date.parse(certificate.validTo) <= now) {
    return `the certificate in ${files.folder} ended on ${certificate.validTo}; make a new one: ${makeOne}`;
  }
  if (certificate.verify(new X509Certificate(files.authority).publicKey)) return "";
  return `cert.pem in ${files.folder} was not made by the authority of ca.pem; make a new one: ${makeOne}`;
}

function noCertificate(
  folder: string,
  missing: readonly string[],
  causes: readonly string[],
): Failure {
  const isAbsent = causes.every((each) => each === "ENOENT" || each === "ENOTDIR");
  const why = isAbsent ? "" : ` (${[...new Set(causes)].join(", ")})`;
  const message = [
    `no certificate in ${folder}: ${missing.join(", ")} can't be read${why}`,
    "  `npm start` makes one in .meridian/pki/operator: run the command from the folder that holds .meridian,",
    "  or name another folder with --tls-dir or MERIDIAN_TLS_DIR, or make one:",
    `  ${makeOne}`,
  ].join("\n");
  return { code: exitCodes.usage, message };
}

function readFile(path: string): Result<Buffer, string> {
  try {
    return ok(readFileSync(path));
  } catch (cause) {
    return err(cause instanceof Error && "code" in cause ? String(cause.code) : String(cause));
  }
}
