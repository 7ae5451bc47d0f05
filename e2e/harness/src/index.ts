// What tests, benches and `npm start` may use of the harness.

export {
  Cluster,
  type ClusterOptions,
  type ClusterRegion,
  openCluster,
  startCluster,
} from "./cluster/cluster.ts";
export {
  defaultPolicy,
  hashKey,
  localKey,
  type PolicyBackend,
  type PolicyDocument,
  simulatedModels,
  withCanaries,
} from "./cluster/policy-document.ts";
export {
  defaultRegions,
  type PortUse,
  planTopology,
  portsOf,
  type RegionPlan,
  type Shape,
  type Topology,
} from "./cluster/topology.ts";
export { type Etcd, type EtcdMember, type EtcdOptions, startEtcd } from "./etcd/etcd.ts";
export { freePorts } from "./etcd/free-ports.ts";
export { type DebianProgram, ensureProgram, findProgram } from "./process/debian-program.ts";
export {
  type Inspector,
  inspectorOption,
  openInspector,
  type ProgramMemory,
} from "./process/inspector.ts";
export { Program, ProgramError, type ProgramOptions } from "./process/program.ts";
export { entries, repositoryRoot } from "./process/root.ts";
export { type CommandResult, runCommand } from "./process/run-command.ts";
export { type RoundTrip, regionDistances } from "./relay/distance.ts";
export type { LinkOptions, LinkStats, Selector } from "./relay/messages.ts";
export { type Link, type Relay, type RelayOptions, startRelay } from "./relay/relay.ts";
