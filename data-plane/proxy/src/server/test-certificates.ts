// For tests: an authority that lives as long as the test, and certificates of it.

import "reflect-metadata"; // @peculiar/x509 wants it loaded first.
import { type Identity, identityUri } from "@meridian/proto/identity";
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { PeerTls } from "./index.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const validity = { notBefore: new Date("2020-01-01"), notAfter: new Date("2120-01-01") } as const;

export type TestAuthority = {
  readonly certificate: X509Certificate;
  readonly privateKey: CryptoKey;
};

export async function createTestAuthority(): Promise<TestAuthority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=test authority",
    ...validity,
    signingAlgorithm: algorithm,
    keys,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  return { certificate, privateKey: keys.privateKey };
}

/** A certificate for 127.0.0.1 with an identity in it. */
export async function issueTestTls(authority: TestAuthority, identity: Identity): Promise<PeerTls> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: "02",
    subject: "CN=test",
    issuer: authority.certificate.subject,
    ...validity,
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: "ip", value: "127.0.0.1" },
        { type: "url", value: identityUri(identity) },
      ]),
    ],
  });
  return {
    ca: Buffer.from(authority.certificate.toString("pem")),
    cert: Buffer.from(certificate.toString("pem")),
    key: Buffer.from(await pemOf(keys.privateKey)),
  };
}

async function pemOf(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
}
