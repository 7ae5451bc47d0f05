// For tests: a policy that uses every field of the schema and has nothing to refuse, and a small one against which
// nothing at all is to be said.

import { assert } from "../base/index.ts";
import type { Policy } from "../gen/meridian/v1/policy_pb.ts";
import { checkPolicy } from "./check-policy.ts";
import { parsePolicy } from "./parse-policy.ts";

/** Document of JSON, as an operator's YAML would give it. A new one at each call, to be changed at will. */
export function sampleDocument() {
  return {
    regions: [
      {
        name: "us-east",
        location: { lat: 39, lon: -77.5 },
        endpoint: "https://us.api.example.com",
        peers: ["proxy.us.internal:8443"],
      },
      {
        name: "eu-west",
        location: { lat: 53.3, lon: -6.3 },
        endpoint: "https://eu.api.example.com",
        peers: ["proxy-1.eu.internal:8443", "[2001:db8::2]:8443"],
      },
    ],
    backends: [
      {
        name: "us-a",
        region: "us-east",
        url: "http://llm-1.us.internal:8000",
        protocol: "openai",
        serves: [
          { model: "llama-70b", as: "meta-llama/Llama-3.3-70B-Instruct" },
          { model: "llama-8b" },
        ],
        weight: 2.5,
        assistantPrefix: "continue-final-message",
        metricsPath: "/engine/metrics",
        capacity: { concurrency: 64, requestsPerMinute: 3_000, tokensPerMinute: 900_000 },
        probe: sampleProbe(),
      },
      {
        name: "eu-a",
        region: "eu-west",
        url: "https://10.0.0.7:8000/",
        serves: [{ model: "llama-70b" }, { model: "llama-8b" }],
        probe: { canary: { prompt: "The sky is", expect: "blue" } },
      },
      {
        name: "eu-spare",
        region: "eu-west",
        url: "http://[2001:db8::7]:8000",
        serves: [{ model: "llama-8b" }],
        weight: 0,
        probe: { canary: { input: "The sky is blue." } },
      },
    ],
    models: [
      {
        name: "llama-70b",
        aliases: ["default", "meta/llama-3.3"],
        contextTokens: 131_072,
        features: ["tools"],
        degradeTo: ["llama-8b"],
        continueStreams: true,
      },
      { name: "llama-8b" },
    ],
    routes: [
      sampleRoute(),
      { name: "all", shadow: { model: "llama-8b", percent: 5, concurrency: 4 } },
    ],
    tenants: [
      {
        name: "acme",
        keys: [{ sha256: "a".repeat(64) }, { sha256: "b".repeat(64) }],
        residency: ["eu-west"],
        priority: 1,
        limits: { requestsPerMinute: 6_000, tokensPerMinute: 2_000_000 },
      },
      { name: "bolt", keys: [{ sha256: "c".repeat(64) }] },
    ],
    health: { falseAlarmsPerMonth: 0.5 },
  };
}

function sampleRoute() {
  return {
    name: "acme",
    match: {
      models: ["llama-*"],
      tenants: ["acme"],
      headers: [{ name: "X-Team", value: "blue-*" }],
      protocols: ["openai"],
      paths: ["/v1/*"],
    },
    targets: [{ model: "llama-70b", weight: 95 }, { model: "llama-8b" }],
    balance: "cache-aware",
    timeouts: {
      connectMs: 1_000,
      firstTokenMs: 20_000,
      firstTokenMsPer1kInput: 250,
      betweenTokensMs: 15_000,
      totalMs: 600_000,
      headersMs: 10_000,
      slowMs: 2_500,
    },
    hedge: { budgetPercent: 5, minMs: 50 },
    retry: { attempts: 3, budgetPercent: 10 },
    objective: { firstTokenMs: 2_000 },
    fallback: ["local-queue", "remote", "degrade"],
    affinity: { header: "x-session" },
  };
}

function sampleProbe() {
  return {
    canary: {
      prompt: "2+2=\nAnswer:",
      pattern: "\\b4\\b",
      maxTokens: 4,
      model: "llama-70b",
    },
    latencyMs: 500,
    path: "/healthz",
  };
}

/** The same, parsed. */
export function samplePolicy(): Policy {
  const parsed = parsePolicy(sampleDocument());
  assert(parsed.kind === "ok", "the sample is well formed");
  return parsed.value;
}

/** Two regions, two models; not even a warning. */
export function plainDocument() {
  return {
    regions: [
      { name: "us", peers: ["us:1"] },
      { name: "eu", peers: ["eu:1"] },
    ],
    backends: [
      { name: "us-a", region: "us", url: "http://us-a:1", serves: [{ model: "big" }] },
      {
        name: "eu-a",
        region: "eu",
        url: "http://eu-a:1",
        serves: [{ model: "big" }, { model: "small" }],
      },
    ],
    models: [{ name: "big", aliases: ["default"] }, { name: "small" }],
    routes: [{ name: "all", match: { models: ["*"] } }],
    tenants: [{ name: "acme", keys: [{ sha256: "a".repeat(64) }] }],
  };
}

/** What the check finds in the plain document with some sections replaced: `code path`, warnings as `code? path`. */
export function findingsWith(change: object): readonly string[] {
  const parsed = parsePolicy({ ...plainDocument(), ...change });
  assert(parsed.kind === "ok", JSON.stringify(parsed));
  return checkPolicy(parsed.value).map(
    ({ code, path, warning }) => `${code}${warning ? "?" : ""} ${path}`,
  );
}
