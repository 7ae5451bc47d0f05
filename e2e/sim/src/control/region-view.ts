// What a simulated control plane knows of all regions by the store's rows. Mirrors control-plane/server/src/region.

import { type DrainOrder, type Drains, drainsAt, parseDrain } from "@meridian/control-core/drain";
import { createRegionSigns, parseDigest } from "@meridian/control-core/fleet";
import type { Change } from "@meridian/control-core/watch";
import type { SimNode } from "../net/node.ts";
import { decodeJson } from "../store/store-client.ts";

export class RegionView {
  readonly signs = createRegionSigns();
  readonly #node: SimNode;
  readonly #orders = new Map<string, DrainOrder>();
  badRows = 0;

  constructor(node: SimNode) {
    this.#node = node;
  }

  drains(): Drains {
    return drainsAt(this.#orders.values(), this.#node.wall());
  }

  /** true: a digest changed. */
  takeRuntime(changes: readonly Change[], areOld: boolean): boolean {
    let isChanged = false;
    for (const change of changes) {
      if (change.kind === "delete") continue;
      const [, region, kind] = /^\/rt\/([^/]+)\/(hb|digest)$/.exec(change.entry.key) ?? [];
      if (region === undefined) continue;
      const json = decodeJson(change.entry.value);
      if (kind === "hb") {
        this.signs.see(region, this.#node.now(), areOld ? this.#ageOf(json) : 0);
        continue;
      }
      const digest = parseDigest(region, json);
      if (digest.kind === "err") {
        this.badRows += 1;
        continue;
      }
      this.signs.setDigest(digest.value);
      isChanged = true;
    }
    return isChanged;
  }

  /** true: an order came, changed or went. */
  takeControl(changes: readonly Change[]): boolean {
    let isChanged = false;
    for (const change of changes) {
      const key = change.kind === "put" ? change.entry.key : change.key;
      const [, kind, name] = /^\/ctl\/drain\/(region|backend)\/(.+)$/.exec(key) ?? [];
      if ((kind !== "region" && kind !== "backend") || name === undefined) continue;
      if (change.kind === "delete") {
        isChanged = this.#orders.delete(key) || isChanged;
        continue;
      }
      const order = parseDrain({ kind, name }, decodeJson(change.entry.value));
      if (order.kind === "err") this.badRows += 1;
      else this.#orders.set(key, order.value);
      isChanged = order.kind === "ok" || isChanged;
    }
    return isChanged;
  }

  #ageOf(json: unknown): number {
    const wallMs = typeof json === "object" && json !== null && "wallMs" in json ? json.wallMs : 0;
    return typeof wallMs === "number" ? Math.max(0, this.#node.wall() - wallMs) : 0;
  }
}
