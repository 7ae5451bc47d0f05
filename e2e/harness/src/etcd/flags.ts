// The flags of one etcd member. Never an unsafe one: what is measured and tested is what is deployed.

import type { EtcdProgram } from "./program.ts";

export type MemberFlags = {
  readonly name: string;
  readonly dataDir: string;
  readonly clientUrl: string;
  /** Where it listens for peers, and where peers find it: another address behind a relay. */
  readonly peerListenUrl: string;
  readonly peerUrl: string;
  /** name=url of all members, comma-separated. */
  readonly cluster: string;
  readonly token: string;
  /** true: members are far apart, timeouts are those for round trips of about 200 ms. */
  readonly isDelayed: boolean;
};

/** 2 GiB, etcd's default, said so that nobody need look it up. */
const quotaBytes = 2 * 1024 ** 3;

export function memberFlags(
  flags: MemberFlags,
  version: EtcdProgram["version"],
): readonly string[] {
  const [major, minor] = version;
  const hasStableProgress = major > 3 || minor >= 6;
  return [
    `--name=${flags.name}`,
    `--data-dir=${flags.dataDir}`,
    `--listen-client-urls=${flags.clientUrl}`,
    `--advertise-client-urls=${flags.clientUrl}`,
    `--listen-peer-urls=${flags.peerListenUrl}`,
    `--initial-advertise-peer-urls=${flags.peerUrl}`,
    `--initial-cluster=${flags.cluster}`,
    `--initial-cluster-token=${flags.token}`,
    "--initial-cluster-state=new",
    // Off by default in 3.4; without it a member that comes back from a partition unseats the leader.
    "--pre-vote=true",
    `--heartbeat-interval=${flags.isDelayed ? 200 : 100}`,
    `--election-timeout=${flags.isDelayed ? 2000 : 1000}`,
    "--auto-compaction-mode=periodic",
    "--auto-compaction-retention=1h",
    `--quota-backend-bytes=${quotaBytes}`,
    `--${hasStableProgress ? "" : "experimental-"}watch-progress-notify-interval=5s`,
    "--logger=zap",
    "--log-outputs=stderr",
    "--log-level=warn",
  ];
}
