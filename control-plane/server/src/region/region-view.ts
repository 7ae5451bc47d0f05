// What this control plane knows of all regions: signs of life, digests, drains. Fed by changes of the store's rows; a row
// that can't be read is told and passed over.

import { type DrainOrder, type Drains, drainsAt, parseDrain } from "@meridian/control-core/drain";
import { createRegionSigns, parseDigest, type RegionSigns } from "@meridian/control-core/fleet";
import type { Change } from "@meridian/control-core/watch";
import { type Clock, type Problem, problem } from "@meridian/proto/base";
import { keys } from "../store/keys.ts";

/** What a heartbeat's row holds. */
export type Heartbeat = { readonly id: string; readonly sequence: number; readonly wallMs: number };

export class RegionView {
  readonly signs: RegionSigns = createRegionSigns();
  readonly #clock: Clock;
  readonly #noteBadRow: (problem: Problem) => void;
  readonly #orders = new Map<string, DrainOrder>();

  constructor(clock: Clock, noteBadRow: (problem: Problem) => void) {
    this.#clock = clock;
    this.#noteBadRow = noteBadRow;
  }

  /** The drains in force at this moment: they end by themselves. */
  drains(): Drains {
    return drainsAt(this.#orders.values(), this.#clock.wall());
  }

  /**
   * Heartbeats and digests. areOld: they stood there before this control plane looked, so that their age is taken from
   * their own time; false: they were written just now. true is returned when a digest changed.
   */
  takeRuntime(changes: readonly Change[], areOld: boolean): boolean {
    let digestChanged = false;
    for (const change of changes) {
      if (change.kind === "delete") continue;
      const { key, value } = change.entry;
      const [, region, kind] = /^\/rt\/([^/]+)\/(hb|digest)$/.exec(key) ?? [];
      if (region === undefined) continue;
      const json = parseJson(value);
      if (kind === "hb") {
        this.signs.see(region, this.#clock.now(), areOld ? this.#ageOf(json) : 0);
        continue;
      }
      const digest = parseDigest(region, json);
      if (digest.kind === "err") {
        this.#noteBadRow(digest.error);
        continue;
      }
      this.signs.setDigest(digest.value);
      digestChanged = true;
    }
    return digestChanged;
  }

  /** Orders to drain. true is returned when one came, changed or went. */
  takeControl(changes: readonly Change[]): boolean {
    let drainChanged = false;
    for (const change of changes) {
      const key = change.kind === "put" ? change.entry.key : change.key;
      if (!key.startsWith(keys.drainPrefix)) continue;
      if (change.kind === "delete") {
        drainChanged = this.#orders.delete(key) || drainChanged;
        continue;
      }
      const order = readDrain(key, change.entry.value);
      if (order.kind === "err") {
        // The last good order holds; it ends by itself.
        this.#noteBadRow(order.error);
        continue;
      }
      this.#orders.set(key, order.value);
      drainChanged = true;
    }
    return drainChanged;
  }

  /** Forgets regions that are in the policy no more. */
  keep(regions: ReadonlySet<string>): void {
    this.signs.keep(regions);
  }

  #ageOf(json: unknown): number {
    const wallMs = typeof json === "object" && json !== null && "wallMs" in json ? json.wallMs : 0;
    return typeof wallMs === "number" ? Math.max(0, this.#clock.wall() - wallMs) : 0;
  }
}

/** A drain's row, by its key. */
export function readDrain(key: string, value: Uint8Array): ReturnType<typeof parseDrain> {
  const [, kind, name] = /^\/ctl\/drain\/(region|backend)\/(.+)$/.exec(key) ?? [];
  if ((kind !== "region" && kind !== "backend") || name === undefined) {
    return { kind: "err", error: problem("bad_row", key, "no drain has a key like this") };
  }
  return parseDrain({ kind, name }, parseJson(value));
}

/** undefined when the bytes are no JSON: whoever parses the value says what is wrong with it. */
function parseJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch {
    return undefined;
  }
}
