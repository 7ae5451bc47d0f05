// From the store to what is served: copies of its rows, and of the policy in force a published form. What can't be read
// is told and left alone; what was last good serves on.

import { debounceDueAt, noteChange, quiet } from "@meridian/control-core/subscription";
import type { Change } from "@meridian/control-core/watch";
import {
  type Clock,
  err,
  ok,
  type Problem,
  problem,
  type Random,
  type Result,
} from "@meridian/proto/base";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { compareVersions, formatVersion } from "@meridian/proto/snapshot";
import type { PolicyChecker } from "./policy/policy-checker.ts";
import {
  readHead,
  readPolicy,
  readVersion,
  type StoredPolicy,
  versions,
} from "./policy/policy-history.ts";
import { decodeCompiled } from "./policy/policy-task.ts";
import { RowWatch } from "./policy/row-watch.ts";
import type { Published } from "./published.ts";
import { keys } from "./store/keys.ts";
import { openMirror, type StoreMirror } from "./store/mirror.ts";
import type { Store } from "./store/store.ts";

export type ReconcilerOptions = {
  readonly store: Store;
  readonly checker: PolicyChecker;
  readonly clock: Clock;
  readonly random: Random;
  /** A newer policy is in force. */
  readonly onPublished: (published: Published) => void;
  /** A policy of the store is not fit to serve from. */
  readonly onRefused: (problems: readonly Problem[]) => void;
  readonly onRuntime: (changes: readonly Change[]) => void;
  readonly onControl: (changes: readonly Change[]) => void;
  /** The store came within reach, or went out of it. */
  readonly onReachable: (reachable: boolean) => void;
};

/** How far back a control plane that starts looks for a policy that is good. */
const lookBackMax = 10;

export class Reconciler {
  readonly policyRows: RowWatch;
  readonly #options: ReconcilerOptions;
  readonly #policies: StoreMirror;
  readonly #runtime: StoreMirror;
  readonly #control: StoreMirror;
  readonly #controlPlanes: StoreMirror;
  #published: Published | undefined;
  #burst = quiet;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #isReady = false;
  #wasReachable = false;
  #closed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { store, random } = options;
    const onState = () => this.#noticeReach();
    const open = (prefix: string, onChange: (changes: readonly Change[]) => void): StoreMirror =>
      openMirror({ store, prefix, random: random.fork(prefix), onChange, onState });
    this.policyRows = new RowWatch(() => this.#policies);
    this.#policies = open(keys.policyPrefix, () => this.#noticePolicies());
    this.#runtime = open(keys.runtimePrefix, options.onRuntime);
    this.#control = open(keys.controlPrefix, options.onControl);
    this.#controlPlanes = open(keys.controlPlanePrefix, () => undefined);
  }

  /** Settles when the store has been read once and its policy, if there is one, is published. */
  async ready(): Promise<void> {
    const mirrors = [this.#policies, this.#runtime, this.#control, this.#controlPlanes];
    await Promise.all(mirrors.map((each) => each.ready));
    if (this.#closed) return;
    await this.#read();
    this.#isReady = true;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get published(): Published | undefined {
    return this.#published;
  }

  get controlRows(): StoreMirror["entries"] {
    return this.#control.entries;
  }

  get controlPlaneRows(): StoreMirror["entries"] {
    return this.#controlPlanes.entries;
  }

  /** false: what is served may be older than what others see. */
  isReachable(): boolean {
    return [this.#policies, this.#runtime, this.#control].every((each) => each.state() === "fresh");
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const each of [this.#policies, this.#runtime, this.#control, this.#controlPlanes]) {
      each.close();
    }
  }

  #noticeReach(): void {
    const reachable = this.isReachable();
    if (reachable === this.#wasReachable) return;
    this.#wasReachable = reachable;
    this.#options.onReachable(reachable);
  }

  /** Appliers in quick succession make one publication: after a quiet moment, or half a second after the first. */
  #noticePolicies(): void {
    this.policyRows.changed();
    if (!this.#isReady) return;
    const now = this.#options.clock.now();
    this.#burst = noteChange(this.#burst, now);
    const dueAt = debounceDueAt(this.#burst) ?? now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#burst = quiet;
      void this.#read();
    }, dueAt - now);
  }

  /** One reading at a time; whoever asks during one gets another after it. */
  #read(): Promise<void> {
    const next = (this.#reading ?? Promise.resolve()).then(() => this.#readOnce());
    this.#reading = next;
    return next;
  }

  async #readOnce(): Promise<void> {
    if (this.#closed) return;
    const found = this.#findNewer();
    if (found === undefined) return;
    const compiled = found.kind === "ok" ? await this.#compile(found.value) : err([found.error]);
    if (this.#closed) return;
    if (compiled.kind === "ok") return this.#publish(compiled.value);
    this.#options.onRefused(compiled.error);
    if (this.#published === undefined) await this.#lookBack();
  }

  /** What the head names, unless it is in force already; undefined: nothing to do. */
  #findNewer(): Result<StoredPolicy, Problem> | undefined {
    const rows = this.#policies.entries;
    // A head that is gone changes nothing: what was served is served on.
    const head = readHead(rows)?.head;
    if (head === undefined || head.kind === "err") return head;
    const { version } = head.value;
    const current = this.#published?.version;
    const order = current === undefined ? 1 : compareVersions(version, current);
    if (order === 0) return undefined;
    if (order < 0) return err(backwards(version, current));
    return readPolicy(rows, head.value);
  }

  async #compile(stored: StoredPolicy): Promise<Result<Published, readonly Problem[]>> {
    const { version } = stored.manifest;
    const compiled = await this.#options.checker.compile(stored.document, version);
    if (compiled.kind === "err") return compiled;
    const { policy, snapshots } = decodeCompiled(compiled.value);
    return ok({
      version,
      policy,
      snapshots: new Map(snapshots.map((each) => [each.region, each])),
    });
  }

  #publish(published: Published): void {
    const current = this.#published?.version;
    if (current !== undefined && compareVersions(published.version, current) <= 0) return;
    this.#published = published;
    this.#options.onPublished(published);
  }

  /** A control plane that starts with a bad policy in force serves the newest former one that is good. */
  async #lookBack(): Promise<void> {
    const rows = this.#policies.entries;
    const kept = versions(rows).toReversed().slice(0, lookBackMax);
    for (const version of kept) {
      const stored = readVersion(rows, version);
      const compiled = stored.kind === "ok" ? await this.#compile(stored.value) : undefined;
      if (compiled?.kind === "ok") return this.#publish(compiled.value);
    }
  }
}

function backwards(version: Version, current: Version | undefined): Problem {
  const message = `${formatVersion(version)} is older than ${formatVersion(current)}, which is in force`;
  const hint = "a store restored from a backup needs a higher epoch";
  return problem("version_backwards", keys.policyHead, message, hint);
}
