// Snapshots that are or were in force, and the pushes between them: each is encoded once, and the same bytes go to all.

import { toBinary } from "@bufbuild/protobuf";
import type { SnapshotRef } from "@meridian/control-core/subscription";
import type { Resource, Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { PolicyPushSchema } from "@meridian/proto/gen/sync_pb";
import { makePush } from "@meridian/proto/snapshot";

/** How many snapshots of a region are kept to make deltas from. Source: design 5. */
const keptMax = 16;

export type RegionSnapshots = {
  readonly newest: () => SnapshotRef | undefined;
  readonly holds: (hash: string) => boolean;
  readonly publish: (snapshot: Snapshot) => void;
  /** The push to the newest snapshot from one that is held; fromHash "": the whole. */
  readonly push: (fromHash: string) => Buffer;
};

export function createRegionSnapshots(): RegionSnapshots {
  /** Oldest first. A hash may come back: then the later snapshot stands for it. */
  const kept = new Map<string, Snapshot>();
  /** By the hash that the push starts from; all lead to the newest. */
  const pushes = new Map<string, Buffer>();
  let newest: Snapshot | undefined;
  return {
    newest: () => (newest === undefined ? undefined : refOf(newest)),
    holds: (hash) => kept.has(hash),
    publish: (snapshot) => {
      newest = shareResources(newest, snapshot);
      pushes.clear();
      kept.delete(snapshot.hash);
      kept.set(snapshot.hash, newest);
      for (const hash of kept.keys()) {
        if (kept.size <= keptMax) break;
        kept.delete(hash);
      }
    },
    push: (fromHash) => {
      let bytes = pushes.get(fromHash);
      if (bytes === undefined && newest !== undefined) {
        const encoded = toBinary(PolicyPushSchema, makePush(kept.get(fromHash), newest));
        bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
        pushes.set(fromHash, bytes);
      }
      return bytes ?? Buffer.alloc(0);
    },
  };
}

function refOf({ version, hash }: Snapshot): SnapshotRef | undefined {
  return version === undefined ? undefined : { version, hash };
}

/** What has not changed is kept once, however many snapshots hold it. */
function shareResources(former: Snapshot | undefined, snapshot: Snapshot): Snapshot {
  if (former === undefined) return snapshot;
  const known = new Map(former.resources.map((each): [string, Resource] => [each.name, each]));
  const resources = snapshot.resources.map((each) => {
    const old = known.get(each.name);
    return old?.hash === each.hash ? old : each;
  });
  return { ...snapshot, resources };
}
