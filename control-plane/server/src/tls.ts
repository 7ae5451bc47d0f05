// This program's own certificate, for its server and for its calls to the other control planes.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";
import { err, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { parseSubjectAltName } from "@meridian/proto/identity";

/** PEM, as every TLS library takes it. */
export type TlsFiles = { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

/** Reads ca.pem, cert.pem and key.pem of a folder. Refuses a certificate that isn't this control plane's. */
export function readTlsFiles(folder: string, region: string): Result<TlsFiles, readonly Problem[]> {
  const problems: Problem[] = [];
  const read = (name: string): Buffer => {
    try {
      return readFileSync(join(folder, name));
    } catch (cause) {
      const hint = "make one: meridian pki issue --role control --region REGION";
      problems.push(problem("tls_unreadable", join(folder, name), String(cause), hint));
      return Buffer.alloc(0);
    }
  };
  const files = { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
  if (problems.length > 0) return err(problems);
  const refusal = checkOwnCertificate(join(folder, "cert.pem"), files.cert, region);
  return refusal === undefined ? ok(files) : err([refusal]);
}

/** A server that talks to nobody without a certificate of the same authority. */
export function serverCredentials({ ca, cert, key }: TlsFiles): ServerCredentials {
  return ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true);
}

export function clientCredentials({ ca, cert, key }: TlsFiles): ChannelCredentials {
  return credentials.createSsl(ca, key, cert);
}

function checkOwnCertificate(path: string, pem: Buffer, region: string): Problem | undefined {
  const hint = "a control plane's certificate says spiffe://meridian/control/REGION";
  try {
    const names = new X509Certificate(pem).subjectAltName;
    const identity = parseSubjectAltName(names);
    if (identity?.role === "control" && identity.region === region) return undefined;
    const message = `is not for a control plane of ${region}, it says ${names ?? "nothing"}`;
    return problem("tls_wrong_identity", path, message, hint);
  } catch (cause) {
    return problem("tls_unreadable", path, `is no certificate: ${String(cause)}`, hint);
  }
}
