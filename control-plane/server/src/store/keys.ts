// Where things stand in the store. Values are JSON unless said otherwise; nothing here is ever a sample (design 4).

import type { Version } from "@meridian/proto/gen/snapshot_pb";

export const keys = {
  /** The policy in force: {epoch, sequence, manifest: sha256}. Written by compare-and-put alone. */
  policyHead: "/pol/head",
  policyPrefix: "/pol/",
  /** One applied policy: {epoch, sequence, chunks: [sha256 …], bytes, author, reason, appliedMs}. */
  policyManifest: (version: Pick<Version, "epoch" | "sequence">) =>
    `/pol/manifest/${version.epoch}.${version.sequence}`,
  /** At most 256 KiB of a document, by the SHA-256 of its bytes. Raw bytes. */
  policyChunk: (sha256: string) => `/pol/chunk/${sha256}`,

  runtimePrefix: "/rt/",
  /** What a region's control plane knows of it: pools, proxies, backends. Written on change, or each 10 s. */
  digest: (region: string) => `/rt/${region}/digest`,
  /** The control plane's sign of life, each 2 s. */
  heartbeat: (region: string) => `/rt/${region}/hb`,

  controlPrefix: "/ctl/",
  /** {untilMs, reason, author}; obeyed until untilMs and no longer. */
  drain: (kind: "region" | "backend", name: string) => `/ctl/drain/${kind}/${name}`,
  drainPrefix: "/ctl/drain/",
  /** Written with every drain, compared by every drain: two orders never pass the guard on the same view. */
  drainGuard: "/ctl/drain-guard",

  /** {id, region, address, build}; lives by a lease. Says that the process exists, nothing else. */
  controlPlane: (id: string) => `/cp/${id}`,
  controlPlanePrefix: "/cp/",
} as const;
