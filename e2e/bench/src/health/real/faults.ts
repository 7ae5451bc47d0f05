// The faults that are met, each as it is done to a simulated backend and as the simulation of the cores has it.

import type { HealthVerdict } from "@meridian/proto/health";
import type { Trouble } from "../trial-proxy.ts";
import type { SceneBackend } from "./scene.ts";

export type RealFault = {
  /** Its pool's model, too. */
  readonly model: string;
  readonly name: string;
  /** undefined: the simulation does not have it. */
  readonly trouble: Trouble | undefined;
  /** The verdict that is waited for; a worse one will do. */
  readonly wanted: Exclude<HealthVerdict, "healthy">;
  /** It lasts so long beyond that, to see what else becomes of it. */
  readonly lastsMs: number;
  /** Resolves as soon as it is done to the backend. */
  readonly inject: (backend: SceneBackend) => Promise<unknown>;
  readonly heal: (backend: SceneBackend) => Promise<unknown>;
};

const healFaults = ({ simulator }: SceneBackend) => simulator.heal();

export const hardKill: RealFault = {
  model: "kill",
  name: "hard kill",
  trouble: { isGone: true },
  wanted: "unhealthy",
  lastsMs: 0,
  inject: ({ simulator }) => simulator.program.kill(),
  heal: ({ simulator }) => simulator.program.start(),
};

export const halfFailing: RealFault = {
  model: "half",
  name: "50 % failing",
  trouble: { failing: 0.5 },
  wanted: "degraded",
  // To see when it is taken out.
  lastsMs: 12_000,
  inject: ({ simulator }) => simulator.fail({ kind: "status", status: 500, share: 0.5 }),
  heal: healFaults,
};

export const tenthFailing: RealFault = {
  model: "tenth",
  name: "10 % failing",
  trouble: { failing: 0.1 },
  wanted: "degraded",
  lastsMs: 0,
  inject: ({ simulator }) => simulator.fail({ kind: "reset-before-headers", share: 0.1 }),
  heal: healFaults,
};

export const threeTimesSlower: RealFault = {
  model: "slow",
  name: "3 times slower",
  trouble: { slower: 3 },
  wanted: "degraded",
  // To see that it is not taken out.
  lastsMs: 20_000,
  inject: ({ simulator }) => simulator.fail({ kind: "slow", factor: 3 }),
  heal: healFaults,
};

/** Found out by the canary alone, which busy backends are asked twice in half a minute. */
export const wrongAnswers: RealFault = {
  model: "wrong",
  name: "other words with status 200",
  trouble: undefined,
  wanted: "degraded",
  lastsMs: 0,
  inject: ({ simulator }) => simulator.fail({ kind: "other-words" }),
  heal: healFaults,
};
