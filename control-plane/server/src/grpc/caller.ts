// Who calls, as the certificate says, and what that role may do. Asked on every call: a connection proves nothing for
// later.

import { status } from "@grpc/grpc-js";
import { err, ok, type Result } from "@meridian/proto/base";
import { type Identity, parseSubjectAltName, type Role } from "@meridian/proto/identity";

/** Why a call is refused, in gRPC's terms. */
export type CallRefusal = { readonly code: status; readonly details: string };

/** The identity of a role. */
export type IdentityOf<R extends Role> = R extends "operator"
  ? { readonly role: R; readonly name: string }
  : { readonly role: R; readonly region: string };

/** What a call must offer to be identified. */
export type IdentifiedCall = {
  readonly getAuthContext: () => { sslPeerCertificate?: { subjectaltname?: string | undefined } };
};

/** The caller, if its certificate bears one of the roles. */
export function identify<R extends Role>(
  call: IdentifiedCall,
  roles: readonly R[],
): Result<IdentityOf<R>, CallRefusal> {
  const names = call.getAuthContext().sslPeerCertificate?.subjectaltname;
  const identity = parseSubjectAltName(names);
  if (identity === undefined) {
    return refuse(status.UNAUTHENTICATED, "the certificate names no part of Meridian");
  }
  if (!hasRole(identity, roles)) {
    const wanted = roles.join(" or ");
    return refuse(
      status.PERMISSION_DENIED,
      `this needs the role ${wanted}, and ${describe(identity)} has not`,
    );
  }
  return ok(identity);
}

/** `operator/alice`, `proxy/eu-west`: for the log and as the author of a policy. */
export function describe(identity: Identity): string {
  return `${identity.role}/${identity.role === "operator" ? identity.name : identity.region}`;
}

export function refuse(code: status, details: string): Result<never, CallRefusal> {
  return err({ code, details });
}

function hasRole<R extends Role>(
  identity: Identity,
  roles: readonly R[],
): identity is Identity & IdentityOf<R> {
  return roles.some((role) => role === identity.role);
}
