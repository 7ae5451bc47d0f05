// The two acts of the authority: everything for a set of regions at once, and one certificate more.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { err, ok, type Result } from "@meridian/proto/base";
import { type Identity, identityUri, parseIdentityUri } from "@meridian/proto/identity";
import { exitCodes, type Failure } from "../outcome.ts";
import {
  type Authority,
  authorityState,
  createAuthority,
  messageOf,
  readAuthority,
} from "./authority.ts";
import { type CertificateRequest, isCurrent, issueCertificate, nameOf } from "./certificate.ts";
import { createFolder, replaceFolder } from "./files.ts";

/** One folder, and whether it was there already. */
export type FolderNote = { readonly folder: string; readonly did: "made" | "kept" };

export type InitOptions = {
  readonly out: string;
  readonly regions: readonly string[];
  readonly hosts: readonly string[];
  readonly now: Date;
};

/**
 * DIR/ca, DIR/control-REGION and DIR/proxy-REGION for each region, DIR/operator. What is there and still good is kept;
 * an authority is never replaced.
 */
export async function initPki(
  options: InitOptions,
): Promise<Result<readonly FolderNote[], Failure>> {
  const out = resolve(options.out);
  const requests: { readonly folder: string; readonly request: CertificateRequest }[] = [];
  for (const region of options.regions) {
    for (const role of ["control", "proxy"] as const) {
      const request = checkRequest({ role, region }, options.hosts);
      if (request.kind === "err") return request;
      const folder = join(out, nameOf(request.value.identity));
      requests.push({ folder, request: request.value });
    }
  }
  const operator: Identity = { role: "operator", name: "operator" };
  requests.push({ folder: join(out, "operator"), request: { identity: operator, hosts: [] } });
  const folder = join(out, "ca");
  return guardFiles(async () => {
    const did = await ensureAuthority(folder, options.now);
    if (did.kind === "err") return did;
    const authority = await openAuthority(folder);
    if (authority.kind === "err") return authority;
    const notes: FolderNote[] = [{ folder, did: did.value }];
    for (const each of requests) {
      notes.push(await ensureCredential(authority.value, each.folder, each.request, options.now));
    }
    return ok(notes);
  });
}

export type IssueOptions = {
  readonly authority: string;
  readonly out: string;
  readonly identity: Identity;
  readonly hosts: readonly string[];
  readonly now: Date;
};

/** One certificate from an authority that exists. */
export async function issuePki(options: IssueOptions): Promise<Result<FolderNote, Failure>> {
  const request = checkRequest(options.identity, options.hosts);
  if (request.kind === "err") return request;
  const folder = resolve(options.out);
  if (authorityState(folder) !== "absent") {
    return err(usage(`${folder} holds an authority; nothing else is written there`));
  }
  return guardFiles(async () => {
    const authority = await openAuthority(resolve(options.authority));
    if (authority.kind === "err") return authority;
    return ok(await ensureCredential(authority.value, folder, request.value, options.now));
  });
}

async function ensureAuthority(
  folder: string,
  now: Date,
): Promise<Result<"made" | "kept", Failure>> {
  const state = authorityState(folder);
  if (state === "present") return ok("kept");
  const half = `${folder} holds something that is not a whole authority (ca.pem and ca-key.pem); `;
  const wayOut = "restore the missing file, or choose another --out";
  if (state === "broken") return err(usage(half + wayOut));
  const isMade = createFolder(folder, await createAuthority(now));
  if (isMade) return ok("made");
  // Another init of the same moment was first, and its authority holds.
  return authorityState(folder) === "present" ? ok("kept") : err(usage(half + wayOut));
}

async function openAuthority(folder: string): Promise<Result<Authority, Failure>> {
  const read = await readAuthority(folder);
  return read.kind === "ok" ? read : err(usage(read.error));
}

async function ensureCredential(
  authority: Authority,
  folder: string,
  request: CertificateRequest,
  now: Date,
): Promise<FolderNote> {
  const found = {
    "ca.pem": readIfThere(join(folder, "ca.pem")),
    "cert.pem": readIfThere(join(folder, "cert.pem")),
    "key.pem": readIfThere(join(folder, "key.pem")),
  };
  const isGood = found["ca.pem"] === authority.certificatePem && isCurrent(found, request, now);
  if (isGood) return { folder, did: "kept" };
  replaceFolder(folder, await issueCertificate(authority, request, now));
  return { folder, did: "made" };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Missing and unreadable come to the same: it can't be kept.
    return "";
  }
}

/** Names and hosts that a certificate can carry without changing its meaning. */
function checkRequest(
  identity: Identity,
  hosts: readonly string[],
): Result<CertificateRequest, Failure> {
  const uri = identityUri(identity);
  if (parseIdentityUri(uri) === undefined) {
    const name = identity.role === "operator" ? identity.name : identity.region;
    const form = "lower-case letters, digits and hyphens, at most 63";
    return err(usage(`${JSON.stringify(name)} is no name for a certificate: ${form}`));
  }
  const wrong = hosts.find((host) => isIP(host) === 0 && !hostForm.test(host));
  if (wrong !== undefined) {
    return err(usage(`${JSON.stringify(wrong)} is neither a host name nor an address`));
  }
  return ok({ identity, hosts });
}

const hostForm = /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** A disk that is full or a folder that is not ours is the caller's to mend, not a defect. */
async function guardFiles<T>(act: () => Promise<Result<T, Failure>>): Promise<Result<T, Failure>> {
  try {
    return await act();
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    return err(usage(`certificates can't be written: ${messageOf(cause)}`));
  }
}

function usage(message: string): Failure {
  return { code: exitCodes.usage, message };
}
