// What tests, benches and `npm start` may use of the harness.

export { type Etcd, type EtcdMember, type EtcdOptions, startEtcd } from "./etcd/etcd.ts";
export { freePorts } from "./etcd/free-ports.ts";
export { type RoundTrip, regionDistances } from "./relay/distance.ts";
export type { LinkOptions, LinkStats, Selector } from "./relay/messages.ts";
export { type Link, type Relay, type RelayOptions, startRelay } from "./relay/relay.ts";
