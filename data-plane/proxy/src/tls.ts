// This program's own certificate, and who the other side of a TLS connection is.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { type Identity, parseSubjectAltName } from "@meridian/proto/identity";

/** PEM, as every TLS library takes it. */
export type TlsFiles = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

/**
 * Reads ca.pem, cert.pem and key.pem of a folder. Refuses a certificate that isn't this proxy's: control planes give
 * a proxy its certificate's region, whatever its settings say.
 */
export function readTlsFiles(folder: string, region: string): Result<TlsFiles, readonly Problem[]> {
  const problems: Problem[] = [];
  const read = (name: string): Buffer => {
    try {
      return readFileSync(join(folder, name));
    } catch (cause) {
      const hint = "make one: meridian pki issue --role proxy --region REGION";
      problems.push(problem("tls_unreadable", join(folder, name), String(cause), hint));
      return Buffer.alloc(0);
    }
  };
  const files = { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
  if (problems.length > 0) return err(problems);
  const refusal = checkOwnCertificate(join(folder, "cert.pem"), files.cert, region);
  return refusal === undefined ? ok(files) : err([refusal]);
}

/**
 * For a client's TLS options: the server must have the host's name and the role that is expected. Undefined: fine.
 *
 * @example { checkServerIdentity: expectRole("control") }
 */
export function expectRole(
  role: Identity["role"],
  region?: string,
): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (host, certificate) => {
    const wrongName = checkServerIdentity(host, certificate);
    if (wrongName !== undefined) return wrongName;
    const identity = parseSubjectAltName(certificate.subjectaltname);
    const fits =
      identity?.role === role &&
      (region === undefined || (identity.role !== "operator" && identity.region === region));
    if (fits) return undefined;
    const wanted = region === undefined ? role : `${role} of ${region}`;
    return new Error(`${host} is not a ${wanted}: its certificate says ${describe(identity)}`);
  };
}

function checkOwnCertificate(path: string, pem: Buffer, region: string): Problem | undefined {
  const hint = "a proxy's certificate says spiffe://meridian/proxy/REGION";
  try {
    const identity = parseSubjectAltName(new X509Certificate(pem).subjectAltName);
    if (identity?.role === "proxy" && identity.region === region) return undefined;
    const message = `is not for a proxy of ${region}, it says ${describe(identity)}`;
    return problem("tls_wrong_identity", path, message, hint);
  } catch (cause) {
    return problem("tls_unreadable", path, `is no certificate: ${String(cause)}`, hint);
  }
}

function describe(identity: Identity | undefined): string {
  if (identity === undefined) return "nothing";
  return identity.role === "operator"
    ? `operator ${identity.name}`
    : `${identity.role} of ${identity.region}`;
}
