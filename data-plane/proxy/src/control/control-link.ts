// Carries out what the sync machine decides: opens and closes streams, puts snapshots in force, keeps its timer.

import type { EngineReport } from "@meridian/data-core/engine";
import {
  createSync,
  type SnapshotSource,
  type SyncCommand,
  type SyncEvent,
  type SyncLimits,
  type SyncStatus,
} from "@meridian/data-core/sync";
import {
  assertNever,
  type Clock,
  formatProblem,
  type Problem,
  type Random,
} from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { Node, StateFrame } from "@meridian/proto/gen/sync_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import type { FoundDecisions } from "../decisions/index.ts";
import type { TlsFiles } from "../tls.ts";
import type { ControlStreams, Dial } from "./control-streams.ts";
import { QuestionLane } from "./question-lane.ts";
import type { ProbeReadings } from "./report-frame.ts";
import { Reporter } from "./reporter.ts";

export type ControlLinkOptions = {
  readonly node: Node;
  /** host:port, the own region's first. */
  readonly controls: readonly string[];
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<SyncLimits>;
  readonly logger: ControlLogger;
  /** Puts a snapshot in force, as a whole or not at all, and answers; problems more than warnings: it is not. */
  readonly activate: (
    snapshot: Snapshot,
    source: SnapshotSource,
    answer: (problems: readonly Problem[]) => void,
  ) => void;
  readonly observe: (frame: StateFrame) => void;
  readonly report: () => { readonly engine: EngineReport; readonly draining: boolean };
  readonly probes: ProbeReadings;
  /** Records of a decision or a request, for operators who ask. */
  readonly explain: (id: string) => Promise<FoundDecisions>;
  /** A push was refused. */
  readonly refused: (problems: readonly Problem[]) => void;
};

/** The part of pino that is used here. */
export type ControlLogger = {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
};

export type ControlLink = {
  /** Loads gRPC and begins to connect; does nothing without control planes. */
  readonly start: () => Promise<void>;
  /** A snapshot from disk or a sibling, to be judged like a push. */
  readonly offer: (snapshot: Snapshot, source: "disk" | "sibling") => void;
  readonly status: () => SyncStatus;
  /** Address of the control plane in use. */
  readonly address: () => string | undefined;
  readonly close: () => void;
};

export function createControlLink(options: ControlLinkOptions): ControlLink {
  return new Link(options);
}

class Link implements ControlLink {
  readonly #options: ControlLinkOptions;
  readonly #sync;
  readonly #reporter;
  readonly #questions;
  #streams: ControlStreams | undefined;
  #probe: { readonly close: () => void } | undefined;
  #grpc: typeof import("./control-streams.ts") | undefined;
  #wake: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ControlLinkOptions) {
    this.#options = options;
    const { node, controls, limits, random, clock, report, probes, explain } = options;
    this.#sync = createSync({
      region: node.region,
      controls: controls.length,
      random: random.fork("sync"),
      ...(limits === undefined ? {} : { limits }),
    });
    const reports = random.fork("reports");
    this.#reporter = new Reporter({ node, clock, report, probes, random: reports });
    this.#questions = new QuestionLane({ node, random: random.fork("questions"), find: explain });
  }

  async start(): Promise<void> {
    if (this.#options.controls.length === 0) return;
    this.#grpc = await import("./control-streams.ts");
    this.#step({ kind: "start" });
  }

  offer(snapshot: Snapshot, source: "disk" | "sibling"): void {
    this.#step({ kind: "offered", snapshot, source });
  }

  status(): SyncStatus {
    return this.#sync.status(this.#options.clock.now());
  }

  address(): string | undefined {
    const { control } = this.status();
    return control === undefined ? undefined : this.#options.controls[control];
  }

  close(): void {
    this.#step({ kind: "stop" });
    this.#isClosed = true;
    clearTimeout(this.#wake);
  }

  #step(event: SyncEvent): void {
    if (this.#isClosed) return;
    for (const command of this.#sync.step(event, this.#options.clock.now())) this.#run(command);
    this.#setTimer();
  }

  #setTimer(): void {
    clearTimeout(this.#wake);
    const inMs = this.#sync.wakeAt() - this.#options.clock.now();
    if (inMs === Number.POSITIVE_INFINITY) return;
    this.#wake = setTimeout(() => this.#step({ kind: "time" }), Math.max(1, Math.ceil(inMs)));
  }

  #run(command: SyncCommand): void {
    switch (command.kind) {
      case "open":
        this.#open(command);
        break;
      case "close":
        this.#options.logger.info({ reason: command.reason }, "control stream closed");
        this.#drop();
        break;
      case "activate":
        this.#activate(command);
        break;
      case "ack":
        this.#streams?.send({ case: "ack", value: ackOf(command) });
        break;
      case "nack":
        this.#refuse(command);
        break;
      case "decline":
        this.#decline(command);
        break;
      case "observe":
        this.#options.observe(command.frame);
        this.#openLanes();
        break;
      case "probe":
        this.#openProbe(command.probe, command.control);
        break;
      case "end-probe":
        this.#probe?.close();
        this.#probe = undefined;
        break;
      default:
        assertNever(command);
    }
  }

  #open(command: Extract<SyncCommand, { kind: "open" }>): void {
    const { session, control, held, heldHash } = command;
    const { node, logger } = this.#options;
    const dial = this.#dial(control);
    logger.info({ control: dial.address, held: formatVersion(held) }, "control stream opens");
    const value = { node, heldHash, ...(held === undefined ? {} : { held }) };
    this.#streams = this.#grpc?.openControlStreams(
      dial,
      { case: "hello", value },
      {
        push: (push) => this.#step({ kind: "push", session, push }),
        frame: (frame) => this.#step({ kind: "frame", session, frame }),
        closed: (reason) => {
          logger.warn({ control: dial.address, reason }, "control stream ended");
          this.#drop();
          this.#step({ kind: "closed", session, reason });
        },
      },
    );
  }

  /** The control plane answers: what is of use to operators can go beside. */
  #openLanes(): void {
    if (this.#streams === undefined) return;
    this.#reporter.ready(this.#streams);
    this.#questions.ready(this.#streams);
  }

  #drop(): void {
    this.#reporter.gone();
    this.#questions.gone();
    this.#streams?.close();
    this.#streams = undefined;
  }

  #activate(command: Extract<SyncCommand, { kind: "activate" }>): void {
    this.#options.activate(command.snapshot, command.source, (problems) =>
      this.#step({ kind: "activated", activation: command.activation, problems }),
    );
  }

  #refuse(command: Extract<SyncCommand, { kind: "nack" }>): void {
    const { version, problems } = command;
    this.#options.refused(problems);
    const fields = { version: formatVersion(version), problems: problems.map(formatProblem) };
    this.#options.logger.warn(fields, "policy refused; the former one stays in force");
    const value = { problems: [...problems], ...(version === undefined ? {} : { version }) };
    this.#streams?.send({ case: "nack", value });
  }

  #decline(command: Extract<SyncCommand, { kind: "decline" }>): void {
    const fields = { source: command.source, problems: command.problems.map(formatProblem) };
    this.#options.logger.warn(fields, "snapshot not taken");
  }

  #openProbe(probe: number, control: number): void {
    this.#probe = this.#grpc?.openProbe(this.#dial(control), {
      frame: (frame) => this.#step({ kind: "probe-answered", probe, frame }),
      closed: () => {
        this.#probe?.close();
        this.#probe = undefined;
        this.#step({ kind: "probe-closed", probe });
      },
    });
  }

  #dial(control: number): Dial {
    const { controls, tls, node } = this.#options;
    return { address: controls[control] ?? "", tls, node };
  }
}

function ackOf(command: Extract<SyncCommand, { kind: "ack" }>) {
  return { version: command.version, hash: command.hash };
}
