// A snapshot as proxies read it: plain values, defaults filled in, routes in order. Nothing refers to what isn't there
// once checkSnapshot has passed it.

import type { Address } from "../base/index.ts";
import type { Version } from "../gen/meridian/v1/snapshot_pb.ts";
import type { AssistantPrefix, Balance, ProtocolName, Rung } from "../policy/words.ts";

export type { AssistantPrefix, Balance, ProtocolName, Rung };

/** Everything that one region's proxies route by. */
export type RegionView = {
  readonly version: Version;
  /** Hash of the snapshot: equal hashes, equal content. */
  readonly hash: string;
  /** The own region. */
  readonly region: string;
  /** All regions, the own one included, sorted by name. */
  readonly regions: readonly RegionEntry[];
  /** The own region's backends alone, sorted by name. */
  readonly backends: readonly BackendView[];
  /** All models, sorted by name. */
  readonly models: readonly ModelView[];
  /** In order: the first that matches a request wins. */
  readonly routes: readonly RouteView[];
  /** Sorted by name. Empty: every request is accepted as tenant "anonymous". */
  readonly tenants: readonly TenantView[];
  readonly health: HealthView;
};

/** What the thresholds of the health tests are derived from. */
export type HealthView = {
  /** Of the whole fleet, in 30 days. */
  readonly falseAlarmsPerMonth: number;
  /** Backends of all regions. */
  readonly fleetBackends: number;
};

export type RegionEntry = {
  readonly name: string;
  /** Degrees; undefined when the policy does not say. */
  readonly location: { readonly lat: number; readonly lon: number } | undefined;
  /** Base URL for clients; "" when the policy does not say. */
  readonly endpoint: string;
  /** Where other regions' proxies reach this region's. */
  readonly peers: readonly Address[];
  /** Set on the own region's entry alone. */
  readonly health: HealthView | undefined;
};

export type BackendView = {
  readonly name: string;
  /** The snapshot's own, once checkSnapshot has passed it. */
  readonly region: string;
  /** Origin without a path or a trailing slash: http://llm-1.us.internal:8000 */
  readonly url: string;
  readonly protocol: ProtocolName;
  readonly serves: readonly ServedModel[];
  /** Share against the other backends of the pool; 0: no requests. */
  readonly weight: number;
  /** What it can bear; undefined: not known. */
  readonly concurrencyMax: number | undefined;
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  /** What it does with a chat whose last message is the assistant's. */
  readonly assistantPrefix: AssistantPrefix;
  readonly probe: ProbeView;
  /** Where its engine's metrics are; undefined: they are not read. */
  readonly metricsPath: string | undefined;
};

export type ProbeView = {
  /** Asked each second; any status below 500 says that it lives. */
  readonly path: string;
  /** undefined: its answers are not checked. */
  readonly canary: CanaryView | undefined;
};

/** A question with a known answer. */
export type CanaryView = {
  /** The backend's own name of the model that is asked. */
  readonly as: string;
  /** See `canaryMark`. */
  readonly mark: number;
  readonly ask:
    | { readonly kind: "chat"; readonly prompt: string; readonly maxTokens: number }
    | { readonly kind: "embedding"; readonly input: string };
  /** Of the answer to a chat; undefined for an embedding. */
  readonly expect:
    | { readonly kind: "contains"; readonly text: string }
    | { readonly kind: "pattern"; readonly pattern: string }
    | undefined;
  /** A canary that takes longer counts as slow; undefined: not judged. */
  readonly latencyMs: number | undefined;
};

export type ServedModel = {
  readonly model: string;
  /** The backend's own name for the model. */
  readonly as: string;
};

export type ModelView = {
  readonly name: string;
  readonly aliases: readonly string[];
  /** undefined: not known. */
  readonly contextTokens: number | undefined;
  readonly features: readonly string[];
  /** Lesser models that may answer instead, best first. */
  readonly degradeTo: readonly string[];
  /** A stream that breaks goes on from another backend. */
  readonly continuesStreams: boolean;
  /** Regions with at least one backend that serves it, sorted. */
  readonly regions: readonly string[];
};

export type RouteView = {
  readonly name: string;
  readonly match: {
    /** Patterns for matchesPattern; empty: any model. */
    readonly models: readonly string[];
    /** Names; empty: any tenant. */
    readonly tenants: readonly string[];
    /** By lower-case name, sorted; the pattern is for matchesPattern. All must match. */
    readonly headers: readonly HeaderMatchView[];
    /** Empty: any. */
    readonly protocols: readonly ProtocolName[];
    /** Patterns; empty: any. */
    readonly paths: readonly string[];
  };
  /** Empty: the model that the client asked for. */
  readonly targets: readonly TargetView[];
  readonly balance: Balance;
  readonly timeouts: TimeoutsView;
  /** Attempts in all, the first included; 1 to 10. */
  readonly attemptsMax: number;
  /** Retries as a share of requests. */
  readonly retryBudgetPercent: number;
  /** What the route promises; undefined: nothing. */
  readonly objectiveFirstTokenMs: number | undefined;
  readonly fallback: readonly Rung[];
  /** undefined: no second attempt beside a slow first one. */
  readonly hedge: HedgeView | undefined;
  /** undefined: no copies. */
  readonly shadow: ShadowView | undefined;
  /** Lower-case name of the header that names a session; undefined: there are no sessions. */
  readonly affinityHeader: string | undefined;
};

export type HeaderMatchView = { readonly name: string; readonly pattern: string };

export type ShadowView = {
  readonly model: string;
  /** Share of the route's requests; 1 to 100. */
  readonly percent: number;
  /** Copies under way at once, at most. */
  readonly concurrencyMax: number;
};

export type HedgeView = {
  /** Hedged requests as a share of all. */
  readonly budgetPercent: number;
  /** Never earlier than this after the call. */
  readonly minMs: number;
};

export type TargetView = {
  readonly model: string;
  /** Share against the other targets; 0: no requests. */
  readonly weight: number;
};

export type TimeoutsView = {
  readonly connectMs: number;
  /** From sending the request to the answer's head; undefined: as long as the first token may take. */
  readonly headersMs: number | undefined;
  /** From sending the request: a later first token is slow, but waited for; what the input adds comes on top. */
  readonly slowMs: number;
  /** From sending the request to the first token, beside what the input adds. */
  readonly firstTokenMs: number;
  readonly firstTokenMsPer1kInput: number;
  readonly betweenTokensMs: number;
  readonly totalMs: number;
};

export type TenantView = {
  readonly name: string;
  /** Lower-case hexadecimal SHA-256 of each key. */
  readonly keys: readonly string[];
  /** Regions in which its requests may be handled; empty: all. */
  readonly residency: readonly string[];
  readonly priority: number;
  /** undefined: no limit. */
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
};
