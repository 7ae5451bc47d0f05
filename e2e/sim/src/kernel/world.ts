// The world of a run: virtual time, chance, places and the records of what happened. What lives in it is added by others.

import { type Random, seededRandom } from "@meridian/proto/base";
import { ModelServer, type ServerSize } from "./model-server.ts";
import { Network } from "./network.ts";
import { Records } from "./request.ts";
import { Timeline } from "./timeline.ts";
import { Trace } from "./trace.ts";

export type WorldRegion = {
  readonly name: string;
  readonly servers: ModelServer[];
};

export class World {
  readonly seed: string;
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly network: Network;
  readonly records = new Records();
  readonly trace = new Trace();
  readonly regions: WorldRegion[] = [];

  constructor(seed: string) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.network = new Network(this.timeline, this.random);
  }

  addRegion(name: string): WorldRegion {
    const region = { name, servers: [] };
    this.regions.push(region);
    return region;
  }

  /** A model server in a region that exists already, or a new one. */
  addServer(name: string, regionName: string, size: ServerSize): ModelServer {
    const region = this.region(regionName) ?? this.addRegion(regionName);
    const server = new ModelServer(this.timeline, { name, region: regionName }, size);
    region.servers.push(server);
    return server;
  }

  region(name: string): WorldRegion | undefined {
    return this.regions.find((each) => each.name === name);
  }
}

/** Round trips of the reference: Virginia, Ireland, Mumbai. */
export const referenceRtts = [
  ["us-east", "eu-west", 80],
  ["us-east", "ap-south", 150],
  ["eu-west", "ap-south", 210],
] as const;
