// Numeric addresses in URLs, in every spelling that a resolver accepts, and which of them nothing should be sent to.

/** What is wrong with a host. Link-local addresses are where clouds keep their metadata services. */
export type HostFault =
  | "malformed"
  | "numeric"
  | "link-local"
  | "metadata"
  | "unspecified"
  | "multicast";

/** Why nothing may be sent to a host, or undefined. `host` is a name, an IPv4 address, or an IPv6 address without brackets. */
export function refuseHost(host: string): HostFault | undefined {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name.includes(":")) {
    const groups = parseIpv6(name);
    return groups === undefined ? "malformed" : refuseIpv6(groups);
  }
  const octets = parseIpv4(name);
  if (octets !== undefined) return refuseIpv4(octets);
  // Resolvers read 0xa9fea9fe, 2852039166 and 169.254.43518 as addresses; nobody means them honestly.
  if (/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name)) return "numeric";
  if (metadataNames.has(name)) return "metadata";
  return hostName.test(name) && name.length <= 253 ? undefined : "malformed";
}

const hostName =
  /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** Sources: the providers' manuals (Google Cloud, AWS). */
const metadataNames: ReadonlySet<string> = new Set([
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "instance-data",
  "instance-data.ec2.internal",
]);

/** Metadata services outside 169.254.0.0/16: Alibaba Cloud, Oracle Cloud, Azure. */
const metadataAddresses: ReadonlySet<string> = new Set([
  "100.100.100.200",
  "192.0.0.192",
  "168.63.129.16",
]);

function parseIpv4(text: string): readonly number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  // A leading 0 would mean octal to some resolvers.
  if (!parts.every((each) => /^(0|[1-9]\d{0,2})$/.test(each) && Number(each) <= 255))
    return undefined;
  return parts.map(Number);
}

function refuseIpv4(octets: readonly number[]): HostFault | undefined {
  const [first = 0, second = 0] = octets;
  if (first === 169 && second === 254) return "link-local";
  if (metadataAddresses.has(octets.join("."))) return "metadata";
  if (first === 0) return "unspecified";
  return first >= 224 ? "multicast" : undefined;
}

/** Eight groups of 16 bits; undefined: no address. A zone (fe80::1%eth0) is none either. */
function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const rest = tail ?? [];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...rest];
}

/** Groups between colons; the last may be an IPv4 address. */
function parseGroups(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [place, part] of parts.entries()) {
    const octets = place === parts.length - 1 ? parseIpv4(part) : undefined;
    if (octets !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = octets;
      groups.push(a * 256 + b, c * 256 + d);
    } else if (/^[0-9a-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function refuseIpv6(groups: readonly number[]): HostFault | undefined {
  const [first = 0, second = 0] = groups;
  if ((first & 0xffc0) === 0xfe80) return "link-local";
  if ((first & 0xff00) === 0xff00) return "multicast";
  // fd00:ec2::/32 is AWS's metadata service, fd20:ce::254 Google's.
  if (first === 0xfd00 && second === 0x0ec2) return "metadata";
  if (first === 0xfd20 && second === 0x00ce) return "metadata";
  if (groups.every((each) => each === 0)) return "unspecified";
  return refuseEmbedded(groups);
}

/** IPv4 inside IPv6: mapped (::ffff:0:0/96), compatible (::/96), NAT64 (64:ff9b::/96), 6to4 (2002::/16). */
function refuseEmbedded(groups: readonly number[]): HostFault | undefined {
  const prefix = groups
    .slice(0, 6)
    .map((each) => each.toString(16))
    .join(":");
  const [first, second = 0, third = 0] = groups;
  const [seventh = 0, eighth = 0] = groups.slice(6);
  if (first === 0x2002) return refuseIpv4(octetsOf(second, third));
  const embeds = ["0:0:0:0:0:ffff", "0:0:0:0:0:0", "64:ff9b:0:0:0:0"].includes(prefix);
  const isLoopback = prefix === "0:0:0:0:0:0" && seventh === 0;
  return embeds && !isLoopback ? refuseIpv4(octetsOf(seventh, eighth)) : undefined;
}

function octetsOf(high: number, low: number): readonly number[] {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff];
}
