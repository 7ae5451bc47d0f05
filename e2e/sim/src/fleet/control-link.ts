// A proxy's link to its control planes: the real sync machine and report lane, over simulated connections. Mirrors the
// shell's control-link and reporter.

import {
  createReportLane,
  createSync,
  type ReportEvent,
  type SyncCommand,
  type SyncEvent,
  type SyncStatus,
} from "@meridian/data-core/sync";
import { assertNever, type Problem, type Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { ReportFrame, StateFrame } from "@meridian/proto/gen/sync_pb";
import type { ControlPlane, ControlSession } from "../control/control-plane.ts";
import type { Timer } from "../kernel/timeline.ts";
import { Connection } from "../net/connection.ts";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";

export type ControlLinkPorts = {
  readonly net: Net;
  readonly node: SimNode;
  readonly random: Random;
  /** The own region's first. */
  readonly controls: readonly ControlPlane[];
  /** Puts a snapshot in force, and answers some time later. */
  readonly activate: (
    snapshot: Snapshot,
    source: "control" | "disk" | "sibling",
    answer: (problems: readonly Problem[]) => void,
  ) => void;
  readonly observe: (frame: StateFrame) => void;
  readonly report: (sequence: bigint) => ReportFrame;
};

type Open = {
  readonly connection: Connection;
  /** The control plane's side; there once the first message has arrived. */
  session: ControlSession | undefined;
};

const tickMs = 100;

export class ControlLink {
  readonly #ports: ControlLinkPorts;
  readonly #sync;
  readonly #lane;
  #open: Open | undefined;
  #reported: Open | undefined;
  #timer: Timer | undefined;

  constructor(ports: ControlLinkPorts) {
    this.#ports = ports;
    const { controls, node, random } = ports;
    this.#sync = createSync({
      region: node.region,
      controls: controls.length,
      random: random.fork("sync"),
    });
    this.#lane = createReportLane(random.fork("reports"));
    node.every(tickMs, () => this.#stepLane({ kind: "time" }));
  }

  start(): void {
    this.#step({ kind: "start" });
  }

  offer(snapshot: Snapshot, source: "disk" | "sibling"): void {
    this.#step({ kind: "offered", snapshot, source });
  }

  status(): SyncStatus {
    return this.#sync.status(this.#ports.node.now());
  }

  #step(event: SyncEvent): void {
    const { node } = this.#ports;
    for (const command of this.#sync.step(event, node.now())) this.#carryOut(command);
    node.cancel(this.#timer);
    const at = this.#sync.wakeAt();
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = node.at(Math.max(at, node.now() + 1), () => this.#step({ kind: "time" }));
  }

  #carryOut(command: SyncCommand): void {
    const { activate, controls, observe } = this.#ports;
    switch (command.kind) {
      case "open": {
        const control = controls[command.control];
        if (control !== undefined) this.#connect(command, control);
        return;
      }
      case "close":
        this.#drop();
        return;
      case "activate":
        activate(command.snapshot, command.source, (problems) =>
          this.#step({ kind: "activated", activation: command.activation, problems }),
        );
        return;
      case "ack":
        this.#send((session) => session.ack(command.version, command.hash));
        return;
      case "nack":
        this.#send((session) => session.nack(command.version, command.problems));
        return;
      case "decline":
      case "end-probe":
        return;
      case "observe":
        observe(command.frame);
        if (this.#reported !== this.#open) {
          this.#reported = this.#open;
          this.#stepLane({ kind: "ready" });
        }
        return;
      case "probe": {
        const control = controls[command.control];
        if (control !== undefined) this.#probe(command.probe, control);
        return;
      }
      default:
        assertNever(command);
    }
  }

  #connect(command: Extract<SyncCommand, { kind: "open" }>, control: ControlPlane): void {
    const { net, node } = this.#ports;
    const { session } = command;
    const closed = (reason: string): void => this.#step({ kind: "closed", session, reason });
    net.dial(node, control.node, {
      refused: () => closed("refused"),
      connected: () => {
        if (!control.node.isUp) {
          closed("refused");
          return;
        }
        this.#greet(command, control, closed);
      },
    });
  }

  #greet(
    command: Extract<SyncCommand, { kind: "open" }>,
    control: ControlPlane,
    closed: (reason: string) => void,
  ): void {
    const { net, node } = this.#ports;
    const { session, held, heldHash } = command;
    const connection = new Connection(
      net,
      { near: node, far: control.node },
      {
        near: (reason) => {
          if (this.#open?.connection === connection) this.#drop();
          closed(reason);
        },
        far: () => open.session?.gone(),
      },
    );
    const open: Open = { connection, session: undefined };
    this.#open = open;
    connection.send("near", () => {
      const proxy = { id: node.name, region: node.region };
      open.session = control.serve(proxy, connection, {
        push: (push) => this.#step({ kind: "push", session, push }),
        frame: (frame) => this.#step({ kind: "frame", session, frame }),
        acknowledged: (sequence) => this.#stepLane({ kind: "acknowledged", sequence }),
      });
      open.session.hello(held, heldHash);
    });
  }

  #probe(probe: number, control: ControlPlane): void {
    const { net, node } = this.#ports;
    const closed = (): void => this.#step({ kind: "probe-closed", probe });
    net.dial(node, control.node, {
      refused: closed,
      connected: () =>
        net.send(node, control.node, () => {
          const frame = control.frameFor(node.region);
          if (frame === undefined) return;
          net.send(control.node, node, () => this.#step({ kind: "probe-answered", probe, frame }));
        }),
    });
  }

  #drop(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    open.connection.close("near");
    if (this.#reported === open) {
      this.#reported = undefined;
      this.#stepLane({ kind: "gone" });
    }
  }

  #send(run: (session: ControlSession) => void): void {
    const open = this.#open;
    open?.connection.send("near", () => {
      if (open.session !== undefined) run(open.session);
    });
  }

  #stepLane(event: ReportEvent): void {
    const command = this.#lane.step(event, this.#ports.node.now());
    if (command.kind !== "report") return;
    const frame = this.#ports.report(command.sequence);
    this.#send((session) => session.report(frame));
  }
}
