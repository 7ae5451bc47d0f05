// What a scenario is: a fleet and its demand, what happens to them, and what it must show.

import type { Figure } from "@meridian/bench/report";
import { serverSizes } from "../kernel/model-server.ts";
import type { FleetPlan, RegionPlan } from "../scene/policy.ts";
import { type Scene, type SceneOptions, warmUpMs } from "../scene/scene.ts";
import { type DemandShape, steady, usualSession } from "../users/demand.ts";

export type Scenario = {
  /** What it must show, in a sentence. */
  readonly shows: string;
  /** Seconds of demand; requests under way then have a minute more. */
  readonly seconds: number;
  readonly change?: SceneChange;
  /** Plans what happens; `scene.at` counts seconds from the end of the warm-up. */
  readonly script: (scene: Scene) => void;
  /** What came out, with bars. */
  readonly figures: (scene: Scene) => readonly Figure[];
};

/** What differs from the usual fleet. */
export type SceneChange = {
  readonly plan?: Partial<FleetPlan>;
  /** Of each region, where it is not three. */
  readonly servers?: { readonly [region: string]: number };
  readonly proxies?: number;
  readonly demand?: { readonly [region: string]: DemandShape };
} & Partial<Omit<SceneOptions, "plan" | "seed" | "demand" | "demandUntilMs">>;

export const us = "us-east";
export const eu = "eu-west";
export const ap = "ap-south";

const places = [
  { name: us, location: { lat: 39, lon: -77.5 } },
  { name: eu, location: { lat: 53.3, lon: -6.3 } },
  { name: ap, location: { lat: 19.1, lon: 72.9 } },
] as const;

/** Sessions per second that a region of three servers bears with ease: about half of what it could. */
export const easy = 2;

/** Requests under way have so long to end, and the fleet to come to rest. */
export const restMs = 60_000;

/** Options of a run. Three regions of two proxies and three servers; five members of the store, two and two and one. */
export function optionsOf(scenario: Scenario, seed: string): SceneOptions {
  const { plan = {}, servers = {}, proxies = 2, demand, ...rest } = scenario.change ?? {};
  const regions: readonly RegionPlan[] = places.map((place) => ({
    ...place,
    proxies,
    servers: servers[place.name] ?? 3,
    size: serverSizes.small,
  }));
  const usual = steady(easy);
  return {
    seed,
    plan: {
      regions,
      objectiveMs: 2_000,
      balance: "least-outstanding",
      tenants: [{ name: "acme", residency: [] }],
      continueStreams: false,
      retryPercent: 10,
      ...plan,
    },
    demand: { [us]: usual, [eu]: usual, [ap]: usual, ...demand },
    session: usualSession,
    tenants: [{ tenant: "acme", model: "llama-8b", share: 1 }],
    demandUntilMs: warmUpMs + scenario.seconds * 1_000,
    clientRetries: 2,
    storeRegions: [us, us, eu, eu, ap],
    ...rest,
  };
}
