// The policy of a simulated fleet, as an operator would write it.

import type { ServerSize } from "../kernel/model-server.ts";

export type FleetPlan = {
  readonly regions: readonly RegionPlan[];
  /** Milliseconds of the route's promise. */
  readonly objectiveMs: number;
  readonly balance: string;
  readonly tenants: readonly { readonly name: string; readonly residency: readonly string[] }[];
  /** A stream that breaks goes on from another backend. */
  readonly continueStreams: boolean;
  readonly retryPercent: number;
};

export type RegionPlan = {
  readonly name: string;
  readonly location: { readonly lat: number; readonly lon: number };
  readonly proxies: number;
  readonly servers: number;
  readonly size: ServerSize;
};

export const model = "llama-8b";

export function peerAddress(proxy: string): string {
  return `${proxy}.sim:8443`;
}

export function proxyNames(region: RegionPlan): readonly string[] {
  return Array.from({ length: region.proxies }, (_, at) => `${region.name}-proxy-${at}`);
}

export function serverNames(region: RegionPlan): readonly string[] {
  return Array.from({ length: region.servers }, (_, at) => `${region.name}-llm-${at}`);
}

export function policyRegions(plan: FleetPlan): readonly string[] {
  return plan.regions.map((each) => each.name);
}

/** A document for `parsePolicy`; `weights` by server where they are not 1. */
export function policyDocument(
  plan: FleetPlan,
  weights: { readonly [server: string]: number } = {},
): unknown {
  return {
    regions: plan.regions.map((region) => ({
      name: region.name,
      location: region.location,
      endpoint: `https://${region.name}.api.example.com`,
      peers: proxyNames(region).map(peerAddress),
    })),
    backends: plan.regions.flatMap((region) =>
      serverNames(region).map((name) => ({
        name,
        region: region.name,
        url: `http://${name}.sim:8000`,
        serves: [{ model }],
        weight: weights[name] ?? 1,
        ...(plan.continueStreams ? { assistantPrefix: "append" } : {}),
        capacity: { concurrency: region.size.slots },
        probe: { canary: { prompt: "The sky is", expect: "blue", maxTokens: 4 } },
      })),
    ),
    models: [{ name: model, ...(plan.continueStreams ? { continueStreams: true } : {}) }],
    routes: [
      {
        name: "chat",
        match: { models: ["*"] },
        balance: plan.balance,
        timeouts: { connectMs: 1_000, firstTokenMs: 20_000, betweenTokensMs: 15_000 },
        retry: { attempts: 3, budgetPercent: plan.retryPercent },
        objective: { firstTokenMs: plan.objectiveMs },
        fallback: ["local-queue", "remote"],
      },
    ],
    tenants: plan.tenants.map(({ name, residency }) => ({
      name,
      keys: [{ sha256: keyOf(name) }],
      ...(residency.length === 0 ? {} : { residency }),
    })),
  };
}

/** Nobody authenticates here; any 64 digits that differ will do. */
function keyOf(tenant: string): string {
  const digits = [...tenant].map((each) => each.charCodeAt(0).toString(16).padStart(2, "0"));
  return digits.join("").padEnd(64, "0").slice(0, 64);
}
