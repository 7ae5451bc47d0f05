// Every metric of a proxy, with its labels. docs/metrics.md lists the same, and a test holds them together.

export type MetricRow = {
  readonly name: `meridian_${string}`;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
};

export const metricTable = {
  requests: {
    name: "meridian_requests_total",
    type: "counter",
    labels: ["route", "model", "status"],
    help: "Requests that ended, by class of status (2xx, 4xx, 499: the client left, 5xx)",
  },
  refusals: {
    name: "meridian_refusals_total",
    type: "counter",
    labels: ["model", "code"],
    help: "Requests answered with an error of our own, by status code",
  },
  edgeRequests: {
    name: "meridian_edge_requests_total",
    type: "counter",
    labels: ["outcome"],
    help: "Requests of clients that were answered, or failed for a reason of this region's: what /gslb/ready counts",
  },
  brokenStreams: {
    name: "meridian_broken_streams_total",
    type: "counter",
    labels: ["route", "model"],
    help: "Answers that broke after their first token",
  },
  attempts: {
    name: "meridian_attempts_total",
    type: "counter",
    labels: ["target", "outcome"],
    help: "Calls of backends and of other regions, by how they ended",
  },
  crossRegion: {
    name: "meridian_cross_region_requests_total",
    type: "counter",
    labels: ["direction", "region"],
    help: "Requests answered by another region (out) or taken for one (in)",
  },
  duration: {
    name: "meridian_request_duration_seconds",
    type: "histogram",
    labels: ["route", "model"],
    help: "From a request's arrival to its end",
  },
  firstToken: {
    name: "meridian_first_token_seconds",
    type: "histogram",
    labels: ["route", "model"],
    help: "From a request's arrival to the first token for its client",
  },
  held: {
    name: "meridian_held_seconds",
    type: "histogram",
    labels: ["route", "model"],
    help: "How long requests waited here for a place at a model server; those that did not are not counted",
  },
  heldNow: {
    name: "meridian_requests_held",
    type: "gauge",
    labels: ["model"],
    help: "Requests that wait here for a place at a model server",
  },
  regionRefusals: {
    name: "meridian_region_refusals_total",
    type: "counter",
    labels: ["region"],
    help: "Requests that another region refused on arrival, as its queue was too long or it had nobody",
  },
  pathRequests: {
    name: "meridian_path_requests_total",
    type: "counter",
    labels: ["region", "kind", "outcome"],
    help: "Synthetic requests to other regions, by kind (state, inference) and outcome (answered, failed)",
  },
  pathWorking: {
    name: "meridian_path_working",
    type: "gauge",
    labels: ["region"],
    help: "1: the way to the region works; 0: the last synthetic requests failed, so it is not chosen",
  },
  pathRoundTrip: {
    name: "meridian_path_round_trip_seconds",
    type: "gauge",
    labels: ["region"],
    help: "Round trip to the region's proxies, smoothed; absent: not measured yet",
  },
  shadows: {
    name: "meridian_shadow_requests_total",
    type: "counter",
    labels: ["route", "model", "outcome"],
    help: "Copies for models that are tried out, by how they ended (complete, rejected, failed, cut)",
  },
  shadowsSkipped: {
    name: "meridian_shadow_skipped_total",
    type: "counter",
    labels: ["route", "model", "reason"],
    help: "Copies not made, as too many were under way (crowded) or clients need the room (busy)",
  },
  shadowFirstToken: {
    name: "meridian_shadow_first_token_seconds",
    type: "histogram",
    labels: ["route", "model"],
    help: "From the call for a copy to its first token; of a whole answer, to its end",
  },
  tokens: {
    name: "meridian_tokens_total",
    type: "counter",
    labels: ["direction"],
    help: "Tokens of requests (input) and answers (output), as the backends count them",
  },
  bytes: {
    name: "meridian_bytes_total",
    type: "counter",
    labels: ["direction"],
    help: "Bytes of connections with clients and other regions, received (in) and sent (out)",
  },
  threadRequests: {
    name: "meridian_thread_requests_total",
    type: "counter",
    labels: ["thread"],
    help: "Requests admitted, by listener thread: the system spreads connections, not requests",
  },
  inFlight: {
    name: "meridian_requests_in_flight",
    type: "gauge",
    labels: [],
    help: "Requests that are being answered",
  },
  backendInFlight: {
    name: "meridian_backend_requests_in_flight",
    type: "gauge",
    labels: ["backend"],
    help: "Requests that this proxy has under way at a backend",
  },
  backendAvailable: {
    name: "meridian_backend_available",
    type: "gauge",
    labels: ["backend"],
    help: "1: the backend may be chosen now",
  },
  ejected: {
    name: "meridian_backends_ejected",
    type: "gauge",
    labels: [],
    help: "Backends that this proxy's own evidence keeps out",
  },
  backendVerdict: {
    name: "meridian_backend_verdict",
    type: "gauge",
    labels: ["backend"],
    help: "The verdict that is followed: 2 healthy, 1 degraded, 0 unhealthy; absent: there is none",
  },
  probes: {
    name: "meridian_probes_total",
    type: "counter",
    labels: ["backend", "outcome"],
    help: "Probes of this proxy, by outcome (good, failed)",
  },
  canaries: {
    name: "meridian_canaries_total",
    type: "counter",
    labels: ["backend", "outcome"],
    help: "Canaries that were answered, by what the answers were (right, wrong)",
  },
  engineReadings: {
    name: "meridian_engine_readings_total",
    type: "counter",
    labels: ["backend", "outcome"],
    help: "Readings of model servers' own metrics (told, silent: they tell no queue, failed)",
  },
  engineWaiting: {
    name: "meridian_engine_requests_waiting",
    type: "gauge",
    labels: ["backend"],
    help: "Requests in the model server's own queue, as it says; absent: not known, or older than 5 s",
  },
  engineRunning: {
    name: "meridian_engine_requests_running",
    type: "gauge",
    labels: ["backend"],
    help: "Requests that the model server works on, as it says; absent: not known",
  },
  engineKvUse: {
    name: "meridian_engine_kv_use",
    type: "gauge",
    labels: ["backend"],
    help: "Share of the model server's memory for context in use, 0 to 1; absent: not known",
  },
  canaryTokensPerDay: {
    name: "meridian_canary_tokens_per_day",
    type: "gauge",
    labels: ["backend"],
    help: "Tokens that this proxy's canaries cost in a day at most, while things stay as they are",
  },
  snapshotEpoch: {
    name: "meridian_snapshot_epoch",
    type: "gauge",
    labels: [],
    help: "Epoch of the policy in force; 0: none",
  },
  snapshotSequence: {
    name: "meridian_snapshot_sequence",
    type: "gauge",
    labels: [],
    help: "Sequence of the policy in force; 0: none",
  },
  snapshotsApplied: {
    name: "meridian_snapshots_applied_total",
    type: "counter",
    labels: ["source"],
    help: "Snapshots put in force, from control, disk or sibling",
  },
  snapshotsRefused: {
    name: "meridian_snapshots_refused_total",
    type: "counter",
    labels: [],
    help: "Pushes of policy that were refused",
  },
  lastGoodFailures: {
    name: "meridian_last_good_failures_total",
    type: "counter",
    labels: [],
    help: "Last-good files that could not be written or were refused",
  },
  decisionsDropped: {
    name: "meridian_decisions_dropped_total",
    type: "counter",
    labels: [],
    help: "Decision records that were to go to disk and did not: too many at once, or the disk refused",
  },
  stateAge: {
    name: "meridian_state_age_seconds",
    type: "gauge",
    labels: [],
    help: "Age of the newest state of the regions; +Inf: there was none",
  },
  controlConnected: {
    name: "meridian_control_connected",
    type: "gauge",
    labels: ["control"],
    help: "1: the control plane in use; 0: one that is not",
  },
  regionOpen: {
    name: "meridian_region_open",
    type: "gauge",
    labels: [],
    help: "1: /gslb/ready sends clients here",
  },
  ready: {
    name: "meridian_ready",
    type: "gauge",
    labels: [],
    help: "1: /readyz answers 200",
  },
} as const satisfies { readonly [key: string]: MetricRow };
