// The policy that `npm start` puts in force: the readable template, with this start's ports and backends.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot, type Topology } from "@meridian/harness";
import { type Document, isMap, isSeq, parseDocument, YAMLMap } from "yaml";
import type { ExternalBackend } from "./external-backends.ts";

export const templateFile = join(repositoryRoot, "deploy", "policies", "local.yaml");

/** YAML text; comments of the template stay. */
export function renderPolicy(topology: Topology, external: readonly ExternalBackend[]): string {
  const document = parseDocument(readFileSync(templateFile, "utf8"));
  for (const [index, region] of topology.regions.entries()) {
    const [proxy] = region.proxies;
    if (proxy === undefined) continue;
    document.setIn(["regions", index, "endpoint"], `http://127.0.0.1:${proxy.clientPort}`);
    document.setIn(["regions", index, "peers", 0], `127.0.0.1:${proxy.peerPort}`);
  }
  if (external.length === 0) setSimulated(document, topology);
  else setExternal(document, topology, external);
  return document.toString({ lineWidth: 100 });
}

/** The template's backends, with this start's ports. */
function setSimulated(document: Document, topology: Topology): void {
  const ports = new Map(
    topology.regions.flatMap((region) => region.backends.map((each) => [each.name, each.port])),
  );
  const backends = document.get("backends");
  if (!isSeq(backends)) return;
  for (const each of backends.items) {
    if (!isMap(each)) continue;
    const port = ports.get(String(each.get("name")));
    if (port !== undefined) each.set("url", `http://127.0.0.1:${port}`);
  }
}

/** Real servers take the place of the simulated ones, each in every region; the first model is the default. */
function setExternal(
  document: Document,
  topology: Topology,
  external: readonly ExternalBackend[],
): void {
  const backends = topology.regions.flatMap((region) =>
    external.map(({ kind, url, models }, index) => ({
      name: `${region.name}-${kind}-${index + 1}`,
      region: region.name,
      url,
      serves: models.map((each) => ({ model: each.name, as: each.as })),
    })),
  );
  const names = [...new Set(external.flatMap((each) => each.models.map(({ name }) => name)))];
  const models = names.map((name, index) =>
    index === 0 ? { name, aliases: ["default"] } : { name },
  );
  for (const [key, value] of Object.entries({ backends, models })) {
    const node = document.createNode(value);
    for (const item of node.items) if (item instanceof YAMLMap) item.spaceBefore = false;
    document.set(key, node);
  }
}
