// Asks each member for its version and cluster, and says what an operator should know.

import { create } from "@bufbuild/protobuf";
import { StatusRequestSchema } from "./gen/etcd_pb.ts";
import { callDeadlineMs, type EtcdMembers } from "./members.ts";

/** Below, known defects lose watch events or leases (multiregion 2.3): good enough for a trial. */
const advised: Version = [3, 5, 0];
/** Below, the progress interval can't be set and watches on quiet prefixes are asked after more often. */
const required: Version = [3, 4, 11];

type Version = readonly [number, number, number];

export async function checkServers(
  members: EtcdMembers,
  warn: (message: string) => void,
): Promise<void> {
  const clusters = new Set<bigint>();
  const complaints = new Map<string, string[]>();
  const checks = members.all.map(async (member) => {
    const status = await member.status(create(StatusRequestSchema), callDeadlineMs);
    if (status.kind === "err") {
      warn(`${status.error.error.message}; it is tried again with every use`);
      return;
    }
    if (status.value.header !== undefined) clusters.add(status.value.header.clusterId);
    const complaint = judgeVersion(status.value.version);
    if (complaint === undefined) return;
    complaints.set(complaint, [...(complaints.get(complaint) ?? []), member.url]);
  });
  await Promise.all(checks);
  for (const [complaint, urls] of complaints) warn(`etcd at ${urls.join(", ")}: ${complaint}`);
  if (clusters.size > 1) {
    warn(
      "the etcd addresses belong to different clusters: revisions of one mean nothing in another",
    );
  }
}

/** What is wrong with a server's version; undefined when nothing is. */
export function judgeVersion(text: string): string | undefined {
  const version = parseVersion(text);
  if (version === undefined) return `its version ${JSON.stringify(text)} is not understood`;
  if (isBelow(version, required)) {
    return `version ${text} is older than ${required.join(".")} and not supported; upgrade it`;
  }
  if (isBelow(version, advised)) {
    return `version ${text} has known defects in watches and leases; use a current 3.5 or 3.6 in production`;
  }
  return undefined;
}

function parseVersion(text: string): Version | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)/.exec(text);
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3])];
}

function isBelow(a: Version, b: Version): boolean {
  const at = [0, 1, 2].find((index) => a[index] !== b[index]) ?? 0;
  return (a[at] ?? 0) < (b[at] ?? 0);
}
