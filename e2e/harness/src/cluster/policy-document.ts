// The policy document as the harness writes it: the fields that it uses, under the schema's names.

import { createHash } from "node:crypto";
import type { Topology } from "./topology.ts";

export type PolicyDocument = {
  readonly regions: readonly {
    readonly name: string;
    readonly location?: { readonly lat: number; readonly lon: number };
    readonly endpoint?: string;
    readonly peers?: readonly string[];
  }[];
  readonly backends: readonly PolicyBackend[];
  readonly models: readonly {
    readonly name: string;
    readonly aliases?: readonly string[];
    readonly contextTokens?: number;
    readonly continueStreams?: boolean;
  }[];
  readonly routes?: readonly { readonly [field: string]: unknown }[];
  readonly tenants?: readonly {
    readonly name: string;
    readonly keys: readonly { readonly sha256: string }[];
    readonly residency?: readonly string[];
  }[];
  readonly health?: { readonly falseAlarmsPerMonth?: number };
};

export type PolicyBackend = {
  readonly name: string;
  readonly region: string;
  readonly url: string;
  readonly protocol?: "openai" | "anthropic" | "ollama";
  readonly serves: readonly { readonly model: string; readonly as?: string }[];
  readonly weight?: number;
  readonly assistantPrefix?: "none" | "append" | "continue-final-message";
  readonly probe?: {
    readonly latencyMs?: number;
    readonly path?: string;
    readonly canary?: {
      readonly model?: string;
      readonly prompt?: string;
      readonly expect?: string;
    };
  };
};

/** The key that requests to a cluster carry. The policy holds its hash alone. */
export const localKey = "local-key";

export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** Models that every simulated backend of a cluster serves, each with its size. */
export const simulatedModels = ["sim-large:large", "sim-small:small", "sim-embed:embed"] as const;

/** A policy in which every backend serves every model, and other regions stand in for one that has none. */
export function defaultPolicy(topology: Topology): PolicyDocument {
  const names = simulatedModels.map((each) => each.split(":")[0] ?? "");
  return {
    regions: topology.regions.map((region) => ({
      name: region.name,
      location: region.location,
      endpoint: `http://127.0.0.1:${region.proxies[0]?.clientPort ?? 0}`,
      peers: region.proxies.map((proxy) => `127.0.0.1:${proxy.peerPort}`),
    })),
    backends: topology.regions.flatMap((region) =>
      region.backends.map((backend) => ({
        name: backend.name,
        region: region.name,
        url: `http://127.0.0.1:${backend.port}`,
        serves: names.map((model) => ({ model })),
      })),
    ),
    models: names.map((name) => (name === "sim-small" ? { name, aliases: ["default"] } : { name })),
    routes: [{ name: "all", match: { models: ["*"] }, fallback: ["remote"] }],
    tenants: [{ name: "local", keys: [{ sha256: hashKey(localKey) }] }],
  };
}

/** The same with a question for each backend, whose answer the simulated models always give alike. */
export function withCanaries(policy: PolicyDocument): PolicyDocument {
  const canary = {
    model: "sim-small",
    prompt: "Which word comes first?",
    expect: "Warm while holds",
  };
  const probe = { latencyMs: 5_000, canary };
  return { ...policy, backends: policy.backends.map((each) => ({ ...each, probe })) };
}
