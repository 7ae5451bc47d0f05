// The proxy's side of the sync streams as a machine: events in, commands out, time as an argument.
// One session at a time, to one control plane; a new session starts from what is held, so that the resources of
// two control planes never mix. Source: xDS and gRPC's A57, A71; reference multiregion 1.1 to 1.4.

import { assertNever, fullJitterMs, type Instant } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import { compareVersions } from "@meridian/proto/snapshot";
import { abroadFrom, chooseControl, home } from "./choose-control.ts";
import {
  defaultSyncLimits,
  type SyncCommand,
  type SyncEvent,
  type SyncLimits,
  type SyncOptions,
  type SyncStatus,
} from "./events.ts";
import { createHolding, type Holding } from "./holding.ts";
import { beginProbe, type HomeProbe, probeDue, restProbe } from "./home-probe.ts";
import { stateAge } from "./state-age.ts";

export type Sync = {
  /** One event, and what follows from it, in order. */
  readonly step: (event: SyncEvent, now: Instant) => readonly SyncCommand[];
  /** When a `time` event is due next; Infinity: never. */
  readonly wakeAt: () => Instant;
  readonly status: (now: Instant) => SyncStatus;
};

/** The one connection: none wanted, one due at a time, or one session. */
type Link =
  | { readonly kind: "idle" }
  | { readonly kind: "waiting"; readonly until: Instant }
  | Session;

type Session = {
  readonly kind: "session";
  readonly session: number;
  readonly control: number;
  /** The session's beginning, then its newest frame. */
  readonly heardAt: Instant;
  /** A first response came. */
  readonly answered: boolean;
  readonly sequence: bigint;
};

type World = {
  readonly options: SyncOptions;
  readonly limits: SyncLimits;
  readonly holding: Holding;
  link: Link;
  probe: HomeProbe;
  /** Sessions and probes begun so far; numbers them. */
  begun: number;
  homeAnsweredAt: Instant;
  /** Sessions begun since the wait for home was over, none of which answered. */
  tries: number;
  /** By control plane: sessions that ended without a response, since the last that had one. */
  readonly failures: number[];
  lastFrameAt: Instant | undefined;
};

/**
 * The machine of one proxy. `controls` may be 0: then it never connects, and snapshots come from offers alone.
 *
 * @example const sync = createSync({ region: "eu-west", controls: 2, random });
 *          run(sync.step({ kind: "start" }, now)); // → [{ kind: "open", session: 1, control: 0, … }]
 */
export function createSync(options: SyncOptions): Sync {
  const world: World = {
    options,
    limits: { ...defaultSyncLimits, ...options.limits },
    holding: createHolding(options.region),
    link: { kind: "idle" },
    probe: { kind: "none" },
    begun: 0,
    homeAnsweredAt: 0,
    tries: 0,
    failures: new Array<number>(options.controls).fill(0),
    lastFrameAt: undefined,
  };
  return {
    step: (event, now) => step(world, event, now),
    wakeAt: () => wakeAt(world),
    status: (now) => status(world, now),
  };
}

function step(world: World, event: SyncEvent, now: Instant): readonly SyncCommand[] {
  switch (event.kind) {
    case "start":
      if (world.link.kind !== "idle" || world.options.controls === 0) return [];
      world.homeAnsweredAt = now;
      return open(world, now);
    case "time":
      return onTime(world, now);
    case "push":
      return onPush(world, event, now);
    case "frame":
      return onFrame(world, event, now);
    case "closed":
      return sessionOf(world, event.session) === undefined ? [] : retire(world, now);
    case "probe-answered":
      return onProbeAnswered(world, event.probe, event.frame, now);
    case "probe-closed":
      if (world.probe.kind === "asking" && world.probe.probe === event.probe) rest(world, now);
      return [];
    case "activated":
      return onActivated(world, event);
    case "offered":
      return world.holding.offer(event.snapshot, event.source);
    case "stop":
      return stop(world);
    default:
      return assertNever(event);
  }
}

function wakeAt(world: World): Instant {
  const { link, limits } = world;
  if (link.kind === "idle") return Number.POSITIVE_INFINITY;
  if (link.kind === "waiting") return link.until;
  return Math.min(link.heardAt + limits.silenceMs, probeDue(world.probe));
}

function status(world: World, now: Instant): SyncStatus {
  const { link, holding } = world;
  const kind = link.kind === "session" ? (link.answered ? "open" : "connecting") : link.kind;
  return {
    link: kind,
    control: link.kind === "session" ? link.control : undefined,
    held: holding.held(),
    stateAge: stateAge(world.lastFrameAt, now),
    refused: holding.refused(),
    retryAt: link.kind === "waiting" ? link.until : undefined,
  };
}

function onTime(world: World, now: Instant): readonly SyncCommand[] {
  const { link, limits } = world;
  if (link.kind === "idle") return [];
  if (link.kind === "waiting") return now < link.until ? [] : open(world, now);
  if (now >= link.heardAt + limits.silenceMs) {
    const closing: SyncCommand = { kind: "close", session: link.session, reason: "silent" };
    return [closing, ...retire(world, now)];
  }
  if (now < probeDue(world.probe)) return [];
  if (world.probe.kind === "asking") {
    const ended: SyncCommand = { kind: "end-probe", probe: world.probe.probe };
    rest(world, now);
    return [ended];
  }
  world.begun += 1;
  world.probe = beginProbe(world.begun, now + limits.silenceMs);
  return [{ kind: "probe", probe: world.begun, control: home }];
}

function onPush(
  world: World,
  event: Extract<SyncEvent, { kind: "push" }>,
  now: Instant,
): readonly SyncCommand[] {
  const session = sessionOf(world, event.session);
  if (session === undefined) return [];
  world.link = answered(world, session, now);
  const outcome = world.holding.push(event.push, event.session);
  if (!outcome.apart) return outcome.commands;
  // The control plane believes in another start than ours: only a new hello mends that. It counts as a failure, so
  // that a control plane that keeps doing so is not asked in a tight loop.
  world.link = { ...session, answered: false };
  const closing: SyncCommand = { kind: "close", session: session.session, reason: "out of step" };
  return [...outcome.commands, closing, ...retire(world, now)];
}

function onFrame(
  world: World,
  event: Extract<SyncEvent, { kind: "frame" }>,
  now: Instant,
): readonly SyncCommand[] {
  const session = sessionOf(world, event.session);
  if (session === undefined || event.frame.sequence <= session.sequence) return [];
  const heard = { ...session, heardAt: now, sequence: event.frame.sequence };
  if (event.frame.policy === undefined && world.holding.held() !== undefined) {
    // A control plane that has not read its store yet knows nothing: it lives, but what is held stays in force, drains
    // included, and it is not the answer of home that would keep the proxy from asking another region's.
    world.link = heard;
    return [];
  }
  world.link = answered(world, heard, now);
  world.lastFrameAt = now;
  return [{ kind: "observe", frame: event.frame }];
}

function onActivated(
  world: World,
  event: Extract<SyncEvent, { kind: "activated" }>,
): readonly SyncCommand[] {
  const commands = world.holding.activated(event.activation, event.problems);
  // An answer for a session that is over goes nowhere: the next hello tells what is held.
  return commands.filter(
    (each) =>
      (each.kind !== "ack" && each.kind !== "nack") || sessionOf(world, each.session) !== undefined,
  );
}

/** Home answers: move there, unless it knows an older policy than the one in force. */
function onProbeAnswered(
  world: World,
  probe: number,
  frame: StateFrame,
  now: Instant,
): readonly SyncCommand[] {
  const { link } = world;
  if (world.probe.kind !== "asking" || world.probe.probe !== probe) return [];
  const ended: SyncCommand = { kind: "end-probe", probe };
  if (link.kind !== "session" || isBehind(frame, world.holding.held())) {
    rest(world, now);
    return [ended];
  }
  world.homeAnsweredAt = now;
  world.failures[home] = 0;
  const reason = "the own region's control plane is back";
  return [ended, { kind: "close", session: link.session, reason }, ...open(world, now)];
}

function stop(world: World): readonly SyncCommand[] {
  const { link } = world;
  const commands = endProbe(world);
  world.link = { kind: "idle" };
  if (link.kind !== "session") return commands;
  return [...commands, { kind: "close", session: link.session, reason: "stopping" }];
}

/** Begins a session with the control plane that is due. */
function open(world: World, now: Instant): readonly SyncCommand[] {
  const { limits, options, homeAnsweredAt, tries } = world;
  const choice = {
    controls: options.controls,
    homeAnsweredAt,
    homeWaitMs: limits.homeWaitMs,
    tries,
  };
  const control = chooseControl(choice, now);
  if (now >= abroadFrom(choice)) world.tries += 1;
  world.begun += 1;
  const session = world.begun;
  world.link = {
    kind: "session",
    session,
    control,
    heardAt: now,
    answered: false,
    sequence: 0n,
  };
  world.probe = { kind: "none" };
  if (control !== home) rest(world, now);
  const held = world.holding.held();
  return [{ kind: "open", session, control, held: held?.version, heldHash: held?.hash ?? "" }];
}

/** A session is over: when to begin the next. Backoff grows only while sessions end without a response. */
function retire(world: World, now: Instant): readonly SyncCommand[] {
  const { link, limits, options } = world;
  if (link.kind !== "session") return [];
  const commands = endProbe(world);
  const failures = link.answered ? 0 : (world.failures[link.control] ?? 0) + 1;
  world.failures[link.control] = failures;
  const { controls } = options;
  const choice = { controls, homeAnsweredAt: world.homeAnsweredAt, homeWaitMs: limits.homeWaitMs };
  const backoff = { baseMs: limits.backoffBaseMs, capMs: limits.backoffCapMs };
  const next = chooseControl({ ...choice, tries: world.tries }, now);
  const attempt = Math.max(0, (world.failures[next] ?? 0) - 1);
  const due = now + fullJitterMs(attempt, backoff, options.random);
  // A long wait for home ends where going abroad begins; spread, as a whole region's proxies lose home at once.
  const abroad = abroadFrom(choice) + fullJitterMs(0, backoff, options.random);
  world.link = { kind: "waiting", until: now < abroadFrom(choice) ? Math.min(due, abroad) : due };
  return commands;
}

/** What a first response proves: this control plane answers. */
function answered(world: World, session: Session, now: Instant): Session {
  world.failures[session.control] = 0;
  world.tries = 0;
  if (session.control === home) world.homeAnsweredAt = now;
  return session.answered ? session : { ...session, answered: true };
}

function sessionOf(world: World, session: number): Session | undefined {
  const { link } = world;
  return link.kind === "session" && link.session === session ? link : undefined;
}

function rest(world: World, now: Instant): void {
  world.probe = restProbe(now, world.limits.probeEveryMs, world.options.random);
}

function endProbe(world: World): readonly SyncCommand[] {
  const { probe } = world;
  world.probe = { kind: "none" };
  return probe.kind === "asking" ? [{ kind: "end-probe", probe: probe.probe }] : [];
}

function isBehind(frame: StateFrame, held: Snapshot | undefined): boolean {
  if (held?.version === undefined) return false;
  return frame.policy === undefined || compareVersions(frame.policy, held.version) < 0;
}
