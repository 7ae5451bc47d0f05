// Every metric of the control plane; docs/metrics.md holds the same list, and a test compares them.

export type MetricRow = {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
};

export const metricTable = {
  policyEpoch: {
    name: "meridian_control_policy_epoch",
    type: "gauge",
    labels: [],
    help: "Epoch of the policy that is served; 0: none",
  },
  policySequence: {
    name: "meridian_control_policy_sequence",
    type: "gauge",
    labels: [],
    help: "Sequence of the policy that is served; 0: none",
  },
  policiesRefused: {
    name: "meridian_control_policies_refused_total",
    type: "counter",
    labels: [],
    help: "Policies of the store that were not fit to serve from",
  },
  badRows: {
    name: "meridian_control_bad_rows_total",
    type: "counter",
    labels: [],
    help: "Rows of the store that could not be read and were passed over",
  },
  storeReachable: {
    name: "meridian_control_store_reachable",
    type: "gauge",
    labels: [],
    help: "1: what is served is up to date; 0: the store is out of reach, the last good state is served",
  },
  watchState: {
    name: "meridian_control_watch_state",
    type: "gauge",
    labels: ["prefix", "state"],
    help: "1 for the state that the etcd watch of a prefix is in, 0 for the others",
  },
  verdicts: {
    name: "meridian_control_verdict_changes_total",
    type: "counter",
    labels: ["verdict"],
    help: "Verdicts on backends that changed, by the new one (healthy, degraded, unhealthy)",
  },
  poolCapacity: {
    name: "meridian_control_pool_capacity_tokens",
    type: "gauge",
    labels: ["region", "model"],
    help: "Tokens a second that a region's available backends of a model can work off; absent: not known",
  },
  poolDemand: {
    name: "meridian_control_pool_demand_tokens",
    type: "gauge",
    labels: ["region", "model"],
    help: "Tokens a second that a region's own clients ask of a model, over about ten seconds",
  },
  poolPending: {
    name: "meridian_control_pool_pending_tokens",
    type: "gauge",
    labels: ["region", "model"],
    help: "Tokens still to do: under way at a region's backends of a model, and held at its proxies",
  },
  outflowShare: {
    name: "meridian_control_outflow_share",
    type: "gauge",
    labels: ["region", "to", "model"],
    help: "Share of its demand that a region may send to another one, 0 to 1; absent: not bound",
  },
  modelSpare: {
    name: "meridian_control_model_spare_tokens",
    type: "gauge",
    labels: ["model"],
    help: "Tokens a second that all regions but the largest have beyond the whole demand; below 0: its loss could not be borne",
  },
  storeWrites: {
    name: "meridian_control_store_writes_total",
    type: "counter",
    labels: ["outcome"],
    help: "Writes of heartbeats and digests, by outcome (ok, failed)",
  },
  streams: {
    name: "meridian_control_streams",
    type: "gauge",
    labels: ["lane"],
    help: "Open streams of proxies, by lane (policy, state, report, questions)",
  },
  fullPushes: {
    name: "meridian_control_full_pushes",
    type: "gauge",
    labels: ["state"],
    help: "Full snapshots under way, and those that wait for a place",
  },
  pushes: {
    name: "meridian_control_pushes_total",
    type: "counter",
    labels: ["kind"],
    help: "Pushes of policy sent (full, delta)",
  },
  pushBytes: {
    name: "meridian_control_push_bytes_total",
    type: "counter",
    labels: [],
    help: "Bytes of pushes of policy sent",
  },
  answers: {
    name: "meridian_control_push_answers_total",
    type: "counter",
    labels: ["answer"],
    help: "Answers of proxies to pushes (ack, nack, none: the stream was closed for it)",
  },
  answerSeconds: {
    name: "meridian_control_push_answer_seconds",
    type: "histogram",
    labels: [],
    help: "From a push to its acknowledgement",
  },
  stateFrames: {
    name: "meridian_control_state_frames_total",
    type: "counter",
    labels: ["outcome"],
    help: "State frames sent, and those skipped because the proxy had not taken the last one",
  },
  reports: {
    name: "meridian_control_reports_total",
    type: "counter",
    labels: [],
    help: "Reports of proxies taken in",
  },
  adminCalls: {
    name: "meridian_control_admin_calls_total",
    type: "counter",
    labels: ["method", "code"],
    help: "Calls of the admin service, by gRPC status code",
  },
  adminSeconds: {
    name: "meridian_control_admin_call_seconds",
    type: "histogram",
    labels: ["method"],
    help: "How long calls of the admin service took",
  },
} as const satisfies { readonly [name: string]: MetricRow };
