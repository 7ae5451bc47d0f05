// Who a program is, as its certificate says: spiffe://meridian/ROLE/REGION in the subject alternative names.

/** What a program of Meridian may be. An operator has no region. */
export type Role = "control" | "proxy" | "operator";

export type Identity =
  | { readonly role: "control" | "proxy"; readonly region: string }
  | { readonly role: "operator"; readonly name: string };

const form = /^spiffe:\/\/meridian\/(control|proxy|operator)\/([a-z0-9][a-z0-9-]{0,62})$/;

/** The URI that stands in a certificate for an identity. */
export function identityUri(identity: Identity): string {
  const last = identity.role === "operator" ? identity.name : identity.region;
  return `spiffe://meridian/${identity.role}/${last}`;
}

/** undefined when the URI is none of ours. */
export function parseIdentityUri(uri: string): Identity | undefined {
  const found = form.exec(uri);
  const role = found?.[1];
  const last = found?.[2];
  if (role === undefined || last === undefined) return undefined;
  if (role === "operator") return { role, name: last };
  return role === "control" || role === "proxy" ? { role, region: last } : undefined;
}

/**
 * The identity in a certificate's subject alternative names, as Node prints them.
 *
 * @example parseSubjectAltName("DNS:localhost, URI:spiffe://meridian/proxy/eu-west")
 *          // → { role: "proxy", region: "eu-west" }
 */
export function parseSubjectAltName(names: string | undefined): Identity | undefined {
  // Node quotes a name that holds a comma. None of ours does, so whoever has one is nobody: no name is taken apart.
  if (names === undefined || names.includes('"')) return undefined;
  const identities = names
    .split(/,\s*/)
    .filter((each) => each.startsWith("URI:"))
    .map((each) => parseIdentityUri(each.slice(4)))
    .filter((each) => each !== undefined);
  // Two identities in one certificate are none.
  return identities.length === 1 ? identities[0] : undefined;
}
