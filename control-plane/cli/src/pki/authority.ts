// The local certificate authority: one key that signs every part's certificate. ECDSA P-256 throughout.

import "reflect-metadata"; // @peculiar/x509 wants it loaded first.
import { createPrivateKey, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "@meridian/proto/base";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

export type Authority = {
  readonly certificate: X509Certificate;
  readonly certificatePem: string;
  readonly signingKey: CryptoKey;
};

/** What stands on disk of a new authority. */
export type AuthorityFiles = { readonly "ca.pem": string; readonly "ca-key.pem": string };

export const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
export const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

const authorityYears = 10;

/** A clock that lags behind must not refuse what was just issued. */
const clockSkewMs = 5 * 60_000;

/** Both files of a folder, or none: half an authority is told, never mended by a new one. */
export type AuthorityState = "present" | "absent" | "broken";

export function authorityState(folder: string): AuthorityState {
  const found = ["ca.pem", "ca-key.pem"].filter((name) => existsSync(join(folder, name)));
  if (found.length === 2) return "present";
  return found.length === 0 ? "absent" : "broken";
}

export async function createAuthority(now: Date): Promise<AuthorityFiles> {
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: "CN=Meridian local authority",
    ...validity(now, authorityYears),
    signingAlgorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    "ca.pem": `${certificate.toString("pem")}\n`,
    "ca-key.pem": await privateKeyPem(keys.privateKey),
  };
}

/** Reads an authority, and makes sure that the key is the certificate's. */
export async function readAuthority(folder: string): Promise<Result<Authority, string>> {
  const certificatePath = join(folder, "ca.pem");
  const keyPath = join(folder, "ca-key.pem");
  try {
    const certificatePem = readFileSync(certificatePath, "utf8");
    const certificate = new X509Certificate(certificatePem);
    const der = createPrivateKey(readFileSync(keyPath)).export({ format: "der", type: "pkcs8" });
    const signingKey = await crypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
    if (!(await fits(certificate, signingKey))) {
      return err(`${keyPath} is not the key of ${certificatePath}`);
    }
    return ok({ certificate, certificatePem, signingKey });
  } catch (cause) {
    return err(`no authority can be read from ${folder}: ${messageOf(cause)}`);
  }
}

export async function privateKeyPem(key: CryptoKey): Promise<string> {
  return `${PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

/** 126 random bits: positive, and never short. */
export function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

export function validity(now: Date, years: number): { notBefore: Date; notAfter: Date } {
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(now.getUTCFullYear() + years);
  return { notBefore: new Date(now.getTime() - clockSkewMs), notAfter };
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

async function fits(certificate: X509Certificate, key: CryptoKey): Promise<boolean> {
  const proof = randomBytes(32);
  const publicKey = await certificate.publicKey.export(keyAlgorithm, ["verify"]);
  const signature = await crypto.subtle.sign(signingAlgorithm, key, proof);
  return crypto.subtle.verify(signingAlgorithm, publicKey, signature, proof);
}
