// Holds what a watcher saw against what happened. An event is known by key, kind and the revision that made it.

import type { StoreEvent } from "@meridian/control-server/store";

/** `42 put /w/7`: the same text for the same event, however it was seen. */
export type Mark = string;

export function markOf(event: StoreEvent): Mark {
  return event.kind === "put"
    ? mark(event.entry.modRevision, "put", event.entry.key)
    : mark(event.modRevision, "delete", event.key);
}

export function mark(modRevision: number, kind: StoreEvent["kind"], key: string): Mark {
  return `${modRevision} ${kind} ${key}`;
}

export type Comparison = {
  /** Happened, and the uncut watcher or another one saw it; this one did not. */
  readonly lost: readonly Mark[];
  /** Acknowledged to the writer, and neither this watcher nor the uncut one saw it: the server's loss. */
  readonly lostByServer: readonly Mark[];
  readonly repeated: readonly Mark[];
  /** Seen, but nobody wrote it. */
  readonly invented: readonly Mark[];
  /** Seen after an event of a later revision. */
  readonly misplaced: readonly Mark[];
};

/**
 * @param written what the writer was told had happened
 * @param control what a watcher saw whose connection was never cut
 * @param seen what the watcher under test saw, in its order
 */
export function compare(
  written: readonly Mark[],
  control: readonly Mark[],
  seen: readonly Mark[],
): Comparison {
  const inControl = new Set(control);
  const inSeen = new Set(seen);
  const missing = [...new Set([...written, ...control])].filter((each) => !inSeen.has(each));
  const happened = new Set([...written, ...control]);
  return {
    lost: missing.filter((each) => inControl.has(each)),
    lostByServer: missing.filter((each) => !inControl.has(each)),
    repeated: repeats(seen),
    invented: seen.filter((each) => !happened.has(each)),
    misplaced: seen.filter((each, index) => revisionOf(each) < revisionOf(seen[index - 1] ?? "0")),
  };
}

function repeats(seen: readonly Mark[]): readonly Mark[] {
  const once = new Set<Mark>();
  return seen.filter((each) => once.size === once.add(each).size);
}

function revisionOf(of: Mark): number {
  return Number.parseInt(of, 10);
}
