// Which programs a deployment on loopback has, and on which ports. Pure: who asks gives the ports.

/** Where one deployment on loopback has what. */
export type Topology = {
  readonly regions: readonly RegionPlan[];
  readonly controlPlanes: readonly ControlPlan[];
};

export type RegionPlan = {
  readonly name: string;
  readonly location: { readonly lat: number; readonly lon: number };
  readonly proxies: readonly ProxyPlan[];
  readonly backends: readonly BackendPlan[];
};

export type ProxyPlan = {
  readonly id: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly opsPort: number;
};

export type BackendPlan = { readonly name: string; readonly port: number };

export type ControlPlan = {
  readonly id: string;
  readonly region: string;
  readonly listenPort: number;
  readonly opsPort: number;
};

export type Shape = {
  readonly regions: readonly string[];
  /** One for all regions, or one in each. */
  readonly controlPlanes: "one" | "each-region";
  readonly proxiesPerRegion: number;
  readonly backendsPerRegion: number;
};

/** What a port is for. A fixed layout gives each kind a range of its own. */
export type PortUse = "client" | "peer" | "proxy-ops" | "control" | "control-ops" | "backend";

export const defaultRegions: readonly string[] = ["us-east", "eu-west", "ap-south"];

/** A port for every program: fixed ones for people, free ones for tests. */
export function planTopology(shape: Shape, nextPort: (use: PortUse) => number): Topology {
  const home = shape.controlPlanes === "one" ? shape.regions.slice(0, 1) : shape.regions;
  return {
    regions: shape.regions.map((name) => planRegion(name, shape, nextPort)),
    controlPlanes: home.map((region) => ({
      id: `control-${region}`,
      region,
      listenPort: nextPort("control"),
      opsPort: nextPort("control-ops"),
    })),
  };
}

function planRegion(name: string, shape: Shape, nextPort: (use: PortUse) => number): RegionPlan {
  return {
    name,
    location: locations[name] ?? { lat: 0, lon: 0 },
    proxies: numbered(shape.proxiesPerRegion).map((number) => ({
      id: `proxy-${name}-${number}`,
      clientPort: nextPort("client"),
      peerPort: nextPort("peer"),
      opsPort: nextPort("proxy-ops"),
    })),
    backends: numbered(shape.backendsPerRegion).map((number) => ({
      name: `${name}-${String.fromCharCode(96 + number)}`,
      port: nextPort("backend"),
    })),
  };
}

/** Ports that a shape needs. */
export function countPorts(shape: Shape): number {
  const controlPlanes = shape.controlPlanes === "one" ? 1 : shape.regions.length;
  const perRegion = shape.proxiesPerRegion * 3 + shape.backendsPerRegion;
  return controlPlanes * 2 + shape.regions.length * perRegion;
}

/** Every port of a topology with what it is for. */
export function portsOf(topology: Topology): readonly (readonly [number, string])[] {
  return [
    ...topology.controlPlanes.flatMap((each) => [
      [each.listenPort, `control plane ${each.id}`] as const,
      [each.opsPort, `health and metrics of ${each.id}`] as const,
    ]),
    ...topology.regions.flatMap((region) => [
      ...region.proxies.flatMap((proxy) => [
        [proxy.clientPort, `clients of ${region.name}`] as const,
        [proxy.peerPort, `other regions' requests to ${region.name}`] as const,
        [proxy.opsPort, `health and metrics of ${proxy.id}`] as const,
      ]),
      ...region.backends.map((backend) => [backend.port, `model backend ${backend.name}`] as const),
    ]),
  ];
}

const locations: { readonly [region: string]: RegionPlan["location"] } = {
  "us-east": { lat: 39, lon: -77.5 },
  "eu-west": { lat: 53.3, lon: -6.3 },
  "ap-south": { lat: 19.1, lon: 72.9 },
};

function numbered(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
