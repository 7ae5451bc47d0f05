// What proxies tell in their logs, with the moment at which it happened: what their fast paths did, and what they found
// themselves when no control plane spoke.

import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Cluster } from "@meridian/harness";
import type { HealthVerdict } from "@meridian/proto/health";

export type ProxyEvent = {
  /** Wall clock. */
  readonly at: number;
  readonly proxy: string;
} & (
  | { readonly kind: "ejected" | "returned" | "kept"; readonly backend: string }
  | {
      readonly kind: "own-verdict";
      readonly backend: string;
      readonly verdict: HealthVerdict;
      readonly before: HealthVerdict;
    }
  | { readonly kind: "alone"; readonly alone: boolean }
);

const pollMs = 50;
const chunkBytes = 65_536;

export class ProxyEvents {
  readonly #logs: readonly Log[];
  readonly #seen: ProxyEvent[] = [];

  constructor(cluster: Cluster) {
    const names = cluster.regions.flatMap(({ proxies }) => proxies.map((each) => each.name));
    this.#logs = names.map((proxy) => ({
      proxy,
      file: join(cluster.dataDir, "logs", `${proxy}.log`),
      offset: 0,
      rest: "",
    }));
  }

  /** Those from this moment on that are wanted, oldest first. */
  since(from: number, isWanted: (event: ProxyEvent) => boolean): readonly ProxyEvent[] {
    for (const log of this.#logs) this.#seen.push(...readNew(log));
    return this.#seen.filter((each) => each.at >= from && isWanted(each));
  }

  /** Waits until each proxy has told one; the first of each, oldest first, as far as they came in time. */
  async firstOfEach(
    options: { readonly from: number; readonly proxies: number; readonly withinMs: number },
    isWanted: (event: ProxyEvent) => boolean,
  ): Promise<readonly ProxyEvent[]> {
    const deadline = Date.now() + options.withinMs;
    for (;;) {
      const found = firstOfEachProxy(this.since(options.from, isWanted));
      if (found.length >= options.proxies || Date.now() > deadline) return found;
      await pause(pollMs);
    }
  }
}

export function firstOfEachProxy(events: readonly ProxyEvent[]): readonly ProxyEvent[] {
  const first = new Map<string, ProxyEvent>();
  for (const event of [...events].sort((a, b) => a.at - b.at)) {
    if (!first.has(event.proxy)) first.set(event.proxy, event);
  }
  return [...first.values()];
}

type Log = { readonly proxy: string; readonly file: string; offset: number; rest: string };

/** Whole lines that came since the last time. */
function readNew(log: Log): readonly ProxyEvent[] {
  const file = openSync(log.file, "r");
  const chunk = Buffer.alloc(chunkBytes);
  try {
    for (;;) {
      const length = readSync(file, chunk, 0, chunkBytes, log.offset);
      if (length === 0) break;
      log.offset += length;
      log.rest += chunk.toString("latin1", 0, length);
    }
  } finally {
    closeSync(file);
  }
  const lines = log.rest.split("\n");
  log.rest = lines.pop() ?? "";
  return lines.flatMap((line) => eventOf(log.proxy, line));
}

type LogLine = {
  readonly time?: number;
  readonly msg?: string;
  readonly target?: string;
  readonly kind?: string;
  readonly backend?: string;
  readonly verdict?: HealthVerdict;
  readonly before?: HealthVerdict;
  readonly alone?: boolean;
};

function eventOf(proxy: string, line: string): readonly ProxyEvent[] {
  if (!line.startsWith("{")) return [];
  // The proxy's own log: what it does not have is undefined.
  const { time: at, msg, target, kind, backend, ...fields } = JSON.parse(line) as LogLine;
  if (at === undefined) return [];
  if (msg === "health changed" && target !== undefined) {
    if (kind !== "ejected" && kind !== "returned" && kind !== "kept") return [];
    return [{ at, proxy, kind, backend: target.replace(/^backend\//, "") }];
  }
  const { verdict, before, alone } = fields;
  if (msg === "own verdict changed" && backend !== undefined) {
    if (verdict === undefined || before === undefined) return [];
    return [{ at, proxy, kind: "own-verdict", backend, verdict, before }];
  }
  return alone === undefined ? [] : [{ at, proxy, kind: "alone", alone }];
}
