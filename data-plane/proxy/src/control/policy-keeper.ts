// Puts snapshots in force, wherever they come from, and keeps the newest on disk.

import type { SnapshotSource } from "@meridian/data-core/sync";
import { formatProblem, type Problem, refuses } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import type { ProxyMetrics } from "../telemetry.ts";
import type { Listeners } from "../threads/listeners.ts";
import type { ControlLogger } from "./control-link.ts";
import { type LastGood, openLastGood } from "./last-good.ts";

export type PolicyKeeperOptions = {
  readonly region: string;
  readonly dataDir: string;
  readonly listeners: Pick<Listeners, "activate">;
  readonly logger: ControlLogger;
  /** A snapshot came into force. */
  readonly applied: (snapshot: Snapshot) => void;
  readonly metrics: Pick<ProxyMetrics, "snapshotApplied" | "lastGoodFailed">;
};

export class PolicyKeeper {
  readonly #options: PolicyKeeperOptions;
  readonly #lastGood: LastGood;
  #writing: Promise<void> = Promise.resolve();
  /** Activations without an answer yet, and who waits for the last one's. */
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

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
  activate(
    snapshot: Snapshot,
    source: SnapshotSource,
    answer: (problems: readonly Problem[]) => void,
  ): void {
    const { applied, listeners, logger, metrics } = this.#options;
    this.#underWay += 1;
    listeners.activate(snapshot, (problems) => {
      this.#underWay -= 1;
      if (!refuses(problems)) {
        metrics.snapshotApplied(source);
        logger.info({ version: formatVersion(snapshot.version), source }, "policy in force");
        applied(snapshot);
        if (source !== "disk") this.#keep(snapshot);
      }
      answer(problems);
      if (this.#underWay > 0) return;
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  /** Resolves when no activation is under way. */
  async settled(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
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
