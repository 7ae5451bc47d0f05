// Explains the verdict on a backend: what this control plane judges itself, or what the one of the backend's region says.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { RegionSigns } from "@meridian/control-core/fleet";
import {
  evidenceOf,
  outlookOf,
  type RegionHealth,
  type VerdictNote,
} from "@meridian/control-core/health";
import { type Clock, type Instant, ok, type Result } from "@meridian/proto/base";
import {
  AdminService,
  type BackendHealthReport,
  BackendHealthReportSchema,
  type ExplainBackendRequest,
  type ExplainBackendResponse,
  ExplainBackendResponseSchema,
  type HealthTest,
  HealthTestSchema,
} from "@meridian/proto/gen/admin_pb";
import type { Policy } from "@meridian/proto/gen/policy_pb";
import { eventsPerFalseAlarm, type HealthTests, signals, usualRate } from "@meridian/proto/health";
import { meanEventsToAlarm, wilsonInterval } from "@meridian/proto/stats";
import { type CallRefusal, refuse } from "../grpc/caller.ts";
import type { Published } from "../published.ts";
import type { ControlPlaneRow } from "../region/registration.ts";
import type { Peers } from "./peers.ts";

export type BackendExplanationsOptions = {
  /** Of this control plane. */
  readonly id: string;
  readonly clock: Clock;
  readonly health: RegionHealth;
  /** What regions told of themselves. */
  readonly signs: Pick<RegionSigns, "digest" | "ageMs">;
  readonly published: () => Published | undefined;
  readonly peers: Pick<Peers, "ask">;
  /** Registered control planes but this one. */
  readonly others: () => readonly ControlPlaneRow[];
};

const peerMs = 2_000;
const millisecondsMax = 0xffff_ffff;

export class BackendExplanations {
  readonly #options: BackendExplanationsOptions;

  constructor(options: BackendExplanationsOptions) {
    this.#options = options;
  }

  async explain({
    name,
    localOnly,
  }: ExplainBackendRequest): Promise<Result<ExplainBackendResponse, CallRefusal>> {
    const { peers, others, published } = this.#options;
    const own = this.#report(name);
    if (own !== undefined) return ok(create(ExplainBackendResponseSchema, { report: own }));
    if (published()?.policy.backends.some((each) => each.name === name) !== true) {
      return refuse(
        status.NOT_FOUND,
        `the policy has no backend ${JSON.stringify(name.slice(0, 64))}`,
      );
    }
    if (localOnly) return ok(create(ExplainBackendResponseSchema, {}));
    const question = {
      method: AdminService.method.explainBackend,
      request: { name, localOnly: true },
      withinMs: peerMs,
    };
    const answers = await peers.ask(others(), question);
    const reports = answers.flatMap(({ answer }) => answer?.report ?? []);
    // Two may have judged it, after its proxies changed over: the one that heard of it last knows better.
    const [judged] = reports.sort((a, b) => a.heardMs - b.heardMs);
    const report = judged ?? this.#told(name);
    return ok(
      create(ExplainBackendResponseSchema, {
        ...(report === undefined ? {} : { report }),
        unreachedControlPlanes: answers.flatMap(({ row, answer }) =>
          answer === undefined ? [row.id] : [],
        ),
      }),
    );
  }

  /** What its region told last, where nobody who judges it can be asked. A digest names those alone that are not healthy. */
  #told(name: string): BackendHealthReport | undefined {
    const { clock, health, published, signs } = this.#options;
    const region = published()?.policy.backends.find((each) => each.name === name)?.region ?? "";
    const digest = signs.digest(region);
    if (digest === undefined) return undefined;
    const note = digest.verdicts.find((each) => each.backend === name);
    return create(BackendHealthReportSchema, {
      name,
      region,
      controlPlane: `the last digest of ${region}`,
      phase: "told",
      heardMs: signs.ageMs(region, clock.now()),
      outlook: ["its region's control plane knows, once it can be asked"],
      ...(note === undefined
        ? { verdict: "healthy", reason: "nothing was told against it", share: 1_000 }
        : noteFields(note, health.tests)),
    });
  }

  #report(name: string): BackendHealthReport | undefined {
    const { id, clock, health } = this.#options;
    const now = clock.now();
    const judged = health.backend(name, now);
    if (judged === undefined) return undefined;
    const wall = (at: Instant): bigint =>
      Number.isFinite(at) ? BigInt(Math.round(clock.wall() - (now - at))) : 0n;
    const { phase, since, until, reason, ejections } = judged.health;
    return create(BackendHealthReportSchema, {
      name,
      region: judged.region,
      controlPlane: id,
      verdict: judged.verdict,
      phase,
      sinceMs: wall(since),
      untilMs: phase === "out" ? wall(until) : 0n,
      reason,
      share: Math.round(judged.share * 1_000),
      ejections,
      signals: evidenceOf(judged.health, health.tests, now).map(
        ({ isAlarmed, n, bad, since: from, ...numbers }) => ({
          ...numbers,
          n: BigInt(n),
          bad: BigInt(bad),
          sinceMs: wall(from),
          alarmed: isAlarmed,
        }),
      ),
      outlook: [...outlookOf(judged.health, health.tests, now)],
      history: health.history(name).map((each) => ({
        atMs: wall(each.at),
        verdict: each.verdict,
        reason: each.reason,
      })),
      heardMs: Math.min(millisecondsMax, Math.round(now - judged.heardAt)),
    });
  }
}

function noteFields(note: VerdictNote, tests: HealthTests) {
  const { bad, ejections, n, reason, signal, verdict } = note;
  const sinceMs = BigInt(Math.max(0, note.sinceMs));
  const threshold = tests[signal].h;
  const evidence = { signal, sum: threshold, threshold, ...wilsonInterval({ n, bad }) };
  return {
    verdict,
    reason,
    ejections,
    share: verdict === "degraded" ? 500 : 0,
    sinceMs,
    signals: [{ ...evidence, n: BigInt(n), bad: BigInt(bad), sinceMs, alarmed: true }],
  };
}

/** The tests in force, with what they promise in numbers that can be checked. */
export function healthTestMessages(tests: HealthTests, policy: Policy): readonly HealthTest[] {
  const falseAlarms = policy.health?.falseAlarmsPerMonth ?? 0;
  const fleet = {
    backends: Math.max(1, policy.backends.length),
    falseAlarmsPerMonth: falseAlarms > 0 ? falseAlarms : 1,
  };
  return signals.map((signal) => {
    const test = tests[signal];
    return create(HealthTestSchema, {
      signal,
      p0: test.p0,
      p1: test.p1,
      threshold: test.h,
      eventsToFalseAlarm: meanEventsToAlarm(test, usualRate(signal)),
      eventsToDetect: meanEventsToAlarm(test, test.p1),
      eventsToDetectAll: meanEventsToAlarm(test, 1),
      eventsPromised: eventsPerFalseAlarm(signal, fleet),
    });
  });
}
