// Regions: where they are, and how they reach each other.

import { checkPeer, checkUrl } from "./check-url.ts";
import { quote } from "./findings.ts";
import type { PolicyIndex } from "./policy-index.ts";

export function checkRegions(index: PolicyIndex): void {
  const { policy, findings } = index;
  const withBackends = new Set(policy.backends.map((each) => each.region));
  for (const [place, region] of policy.regions.entries()) {
    const path = `regions[${place}]`;
    checkLocation(index, place);
    if (region.endpoint !== "") {
      checkUrl(region.endpoint, { path: `${path}.endpoint`, findings });
    }
    if (!withBackends.has(region.name)) {
      const message = `no backend is in ${quote(region.name)}; all its requests go elsewhere`;
      findings.warn("region_without_backends", path, message, "add backends if that is not meant");
    }
    if (policy.regions.length > 1 && region.peers.length === 0) {
      const message = "other regions can't send requests here when their own backends fail";
      findings.warn("no_peers", `${path}.peers`, message, "name its proxies' peer addresses");
    }
  }
  checkPeers(index);
}

function checkLocation({ policy, findings }: PolicyIndex, place: number): void {
  const path = `regions[${place}].location`;
  const location = policy.regions[place]?.location;
  if (location === undefined) {
    if (policy.regions.length < 3) return;
    const message = "without a location it counts as far from everywhere";
    findings.warn("no_location", path, message, "add lat and lon, in degrees");
    return;
  }
  const { lat = 0, lon = 0 } = location;
  if (!(Math.abs(lat) <= 90)) {
    const hint = "latitudes are from -90 to 90";
    findings.refuse("out_of_range", `${path}.lat`, `${lat} is no latitude`, hint);
  }
  if (!(Math.abs(lon) <= 180)) {
    const hint = "longitudes are from -180 to 180";
    findings.refuse("out_of_range", `${path}.lon`, `${lon} is no longitude`, hint);
  }
}

/** An address belongs to one region: a request for one must not end up in another. */
function checkPeers({ policy, findings }: PolicyIndex): void {
  const seen = new Map<string, string>();
  for (const [place, region] of policy.regions.entries()) {
    for (const [second, peer] of region.peers.entries()) {
      const path = `regions[${place}].peers[${second}]`;
      checkPeer(peer, { path, findings });
      const first = seen.get(peer);
      if (first === undefined) {
        seen.set(peer, path);
        continue;
      }
      const message = `${quote(peer)} stands at ${first} already`;
      findings.refuse("duplicate", path, message, "name each address once, for one region");
    }
  }
}
