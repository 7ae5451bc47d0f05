// A part's certificate: who it is stands as a URI in the alternative names, where it is reached as names and addresses.

import { createPrivateKey, X509Certificate as NodeCertificate } from "node:crypto";
import { isIP } from "node:net";
import { type Identity, identityUri, parseSubjectAltName } from "@meridian/proto/identity";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import {
  type Authority,
  keyAlgorithm,
  newSerialNumber,
  privateKeyPem,
  signingAlgorithm,
  validity,
} from "./authority.ts";

export type CertificateRequest = {
  readonly identity: Identity;
  /** Names and addresses beside localhost and 127.0.0.1. */
  readonly hosts: readonly string[];
};

export type Credential = {
  readonly "ca.pem": string;
  readonly "cert.pem": string;
  readonly "key.pem": string;
};

const leafYears = 1;

/** A certificate that is about to end is replaced rather than kept. */
const renewBeforeMs = 30 * 24 * 3_600_000;

const localHosts: readonly string[] = ["localhost", "127.0.0.1"];

/** A new key and a certificate for it, for servers and clients alike. */
export async function issueCertificate(
  authority: Authority,
  request: CertificateRequest,
  now: Date,
): Promise<Credential> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const { notBefore, notAfter } = validity(now, leafYears);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: [{ CN: [nameOf(request.identity)] }],
    issuer: authority.certificate.subject,
    notBefore,
    // Nothing outlives who vouches for it.
    notAfter: new Date(Math.min(notAfter.getTime(), authority.certificate.notAfter.getTime())),
    signingAlgorithm,
    publicKey: keys.publicKey,
    signingKey: authority.signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(alternativeNames(request)),
      await AuthorityKeyIdentifierExtension.create(authority.certificate),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    "ca.pem": authority.certificatePem,
    "cert.pem": `${certificate.toString("pem")}\n`,
    "key.pem": await privateKeyPem(keys.privateKey),
  };
}

/** true when a certificate and its key on disk still do what the request wants of them. */
export function isCurrent(credential: Credential, request: CertificateRequest, now: Date): boolean {
  try {
    const certificate = new NodeCertificate(credential["cert.pem"]);
    const identity = parseSubjectAltName(certificate.subjectAltName);
    const isSigned = certificate.verify(new NodeCertificate(credential["ca.pem"]).publicKey);
    const hasKey = certificate.checkPrivateKey(createPrivateKey(credential["key.pem"]));
    const endsAt = Date.parse(certificate.validTo);
    return (
      isSigned &&
      hasKey &&
      identity !== undefined &&
      identityUri(identity) === identityUri(request.identity) &&
      endsAt - renewBeforeMs > now.getTime() &&
      request.hosts.every((host) => covers(certificate, host))
    );
  } catch {
    // Whatever it is, it is no certificate: a new one takes its place.
    return false;
  }
}

/** `control-eu-west`, `operator-alice`: the common name, and the name of the folder. */
export function nameOf(identity: Identity): string {
  return `${identity.role}-${identity.role === "operator" ? identity.name : identity.region}`;
}

function alternativeNames(
  request: CertificateRequest,
): ConstructorParameters<typeof SubjectAlternativeNameExtension>[0] & object {
  const hosts = [...new Set([...localHosts, ...request.hosts])];
  return [
    ...hosts.map((host) => ({
      type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const),
      value: host,
    })),
    { type: "url" as const, value: identityUri(request.identity) },
  ];
}

function covers(certificate: NodeCertificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  return found !== undefined;
}
