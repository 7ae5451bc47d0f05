// Puts snapshots in force, wherever they come from, and keeps the newest on disk.

import type { Engine } from "@meridian/data-core/engine";
import type { SnapshotSource } from "@meridian/data-core/sync";
import { type Clock, formatProblem, type Problem } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import type { DataServer } from "../server/index.ts";
import type { ProxyMetrics } from "../telemetry.ts";
import type { ControlLogger } from "./control-link.ts";
import { type LastGood, openLastGood } from "./last-good.ts";

export type PolicyKeeperOptions = {
  readonly region: string;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly engine: Engine;
  readonly server: Pick<DataServer, "refreshUpstreams">;
  readonly logger: ControlLogger;
  readonly metrics: Pick<ProxyMetrics, "snapshotApplied" | "lastGoodFailed">;
};

export class PolicyKeeper {
  readonly #options: PolicyKeeperOptions;
  readonly #lastGood: LastGood;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: PolicyKeeperOptions) {
    this.#options = options;
    this.#lastGood = openLastGood(options.dataDir, options.region);
  }

  /** The snapshot on disk; what is broken or another region's is told and left aside. */
  async readLastGood(): Promise<Snapshot | undefined> {
    const { snapshot, refused } = await this.#lastGood.read();
    for (const each of refused) {
      this.#options.metrics.lastGoodFailed();
      this.#options.logger.warn({ problem: formatProblem(each) }, "last-good file refused");
    }
    return snapshot;
  }

  /** As a whole or not at all; problems that are more than warnings: the former one stays in force. */
  activate(snapshot: Snapshot, source: SnapshotSource): readonly Problem[] {
    const { clock, engine, logger, metrics, server } = this.#options;
    const applied = engine.apply({ kind: "snapshot", snapshot }, clock.now());
    if (applied.kind === "err") return applied.error;
    server.refreshUpstreams();
    metrics.snapshotApplied(source);
    logger.info({ version: formatVersion(snapshot.version), source }, "policy in force");
    if (source !== "disk") this.#keep(snapshot);
    return [];
  }

  /** Resolves when nothing is left to be written. */
  written(): Promise<void> {
    return this.#writing;
  }

  /** Beside serving: a disk that fails or hangs holds nothing up. */
  #keep(snapshot: Snapshot): void {
    this.#writing = this.#lastGood.write(snapshot).catch((cause: unknown) => {
      this.#options.metrics.lastGoodFailed();
      this.#options.logger.warn({ cause: String(cause) }, "last-good file not written");
    });
  }
}
