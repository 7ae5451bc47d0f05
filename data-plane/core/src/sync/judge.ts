// Whether a snapshot that arrived may be put in force: from a control plane's push, the disk or a sibling.

import { type Problem, problem, refuses } from "@meridian/proto/base";
import { checkSnapshot } from "@meridian/proto/check-snapshot";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { PolicyPush } from "@meridian/proto/gen/sync_pb";
import { applyPush, compareVersions, makePush } from "@meridian/proto/snapshot";

export type Judgement =
  /** Already in force. */
  | { readonly kind: "same" }
  | { readonly kind: "fit"; readonly snapshot: Snapshot }
  /** `apart`: the sender believes in another start than ours, so a new hello is needed. */
  | { readonly kind: "unfit"; readonly problems: readonly Problem[]; readonly apart: boolean };

/** Judges a push against what is held. All problems at once; the held snapshot is never touched. */
export function judgePush(held: Snapshot | undefined, region: string, push: PolicyPush): Judgement {
  if (push.region !== region) {
    return unfit([problem("region_mismatch", "region", `${push.region} is not ${region}`)]);
  }
  const applied = applyPush(held, push);
  if (applied.kind === "err") return unfit(applied.error);
  const snapshot = applied.value;
  if (held !== undefined && sameContent(held, snapshot)) return { kind: "same" };
  const problems = checkSnapshot(snapshot);
  return refuses(problems) ? unfit(problems) : { kind: "fit", snapshot };
}

/** Judges a whole snapshot by the rules of a push that starts from nothing. */
export function judgeOffer(
  held: Snapshot | undefined,
  region: string,
  offered: Snapshot,
): Judgement {
  const judgement = judgePush(held, region, { ...makePush(undefined, offered), fromHash: "" });
  if (judgement.kind !== "fit" || held?.version === undefined) return judgement;
  const offeredVersion = judgement.snapshot.version;
  const newer = offeredVersion !== undefined && compareVersions(offeredVersion, held.version) > 0;
  if (newer) return judgement;
  return unfit([problem("version_backwards", "version", "what is held is as new")]);
}

function sameContent(held: Snapshot, next: Snapshot): boolean {
  if (held.version === undefined || next.version === undefined) return false;
  return held.hash === next.hash && compareVersions(held.version, next.version) === 0;
}

function unfit(problems: readonly Problem[]): Judgement {
  return {
    kind: "unfit",
    problems,
    apart: problems.some((each) => each.code === "delta_mismatch"),
  };
}
