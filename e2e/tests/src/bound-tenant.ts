// Two tenants of one cluster: one whose requests may be handled in one region alone, and one that may go everywhere and so
// shows which ways lead away. Requests carry their tenant in their ids, which go as far as the model servers.

import {
  type Cluster,
  type ClusterOptions,
  hashKey,
  localKey,
  type PolicyDocument,
} from "@meridian/harness";
import { endpointOf } from "./client.ts";
import { opsOf } from "./metric-reading.ts";

/** The bound tenant's only region. */
export const home = "eu-west";
export const abroad = ["us-east", "ap-south"] as const;

const keys = { bound: "bound-key", free: localKey };
export type Tenant = keyof typeof keys;

export const twoTenants: ClusterOptions = {
  speed: 1,
  models: ["main:0.5:10:0:4", "tried:0.5:10:0:4"],
  policy: withTenants,
};

/** One route by everything that may lead a request away. */
function withTenants(given: PolicyDocument): PolicyDocument {
  return {
    ...given,
    backends: given.backends.map((each) => ({
      ...each,
      serves: [{ model: "main" }, { model: "tried" }],
      assistantPrefix: "append",
      capacity: { concurrency: 4 },
    })),
    models: [{ name: "main", continueStreams: true }, { name: "tried" }],
    routes: [
      {
        name: "all",
        match: { models: ["*"] },
        objective: { firstTokenMs: 500 },
        retry: { attempts: 3, budgetPercent: 100 },
        hedge: { budgetPercent: 50, minMs: 50 },
        shadow: { model: "tried", percent: 100 },
        affinity: { header: "x-chat" },
      },
    ],
    tenants: [
      { name: "free", keys: [{ sha256: hashKey(keys.free) }] },
      { name: "bound", keys: [{ sha256: hashKey(keys.bound) }], residency: [home] },
    ],
  };
}

export type Answer = {
  readonly status: number;
  /** Who answered; empty: nobody. */
  readonly region: string;
  readonly backend: string;
  readonly text: string;
};

let asked = 0;

/** A short stream, read to its end whatever that is. */
export async function ask(
  cluster: Cluster,
  tenant: Tenant,
  region: string,
  headers: { readonly [name: string]: string } = {},
): Promise<Answer> {
  asked += 1;
  const content = `Question ${asked}: ${"and then ".repeat(20)}`;
  const answer = await fetch(`${endpointOf(cluster, region)}/v1/chat/completions`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${keys[tenant]}`,
      "content-type": "application/json",
      "x-request-id": `${tenant}-${asked}`,
      ...headers,
    },
    body: JSON.stringify({
      model: "main",
      stream: true,
      max_tokens: 5,
      ignore_eos: true,
      messages: [{ role: "user", content }],
    }),
    signal: AbortSignal.timeout(40_000),
  });
  return {
    status: answer.status,
    region: answer.headers.get("x-meridian-region") ?? "",
    backend: answer.headers.get("x-meridian-backend") ?? "",
    // A stream that was cut has given its part.
    text: await readAll(answer),
  };
}

async function readAll(answer: Response): Promise<string> {
  let text = "";
  try {
    const decoder = new TextDecoder();
    for await (const piece of answer.body ?? []) text += decoder.decode(piece, { stream: true });
  } catch {
    // Cut: what came before is the answer.
  }
  return text;
}

type Headers = { readonly [name: string]: string };

/** The headers of what the model servers of a region were asked, by those of them that run. */
export async function askedOf(cluster: Cluster, region: string): Promise<readonly Headers[]> {
  const { backends, backendUrls } = cluster.region(region);
  const running = backendUrls.filter((_, place) => backends[place]?.isRunning() === true);
  const logs = await Promise.all(
    running.map(async (url) => {
      // As the simulator writes it.
      const log = (await (await fetch(`${url}/requests`)).json()) as {
        readonly requests: readonly { readonly headers: Headers }[];
      };
      return log.requests;
    }),
  );
  return logs.flat().map((each) => each.headers);
}

/** Of a tenant's requests the ids of those that the model servers of a region were asked. */
export async function idsIn(
  cluster: Cluster,
  region: string,
  tenant: Tenant,
): Promise<readonly string[]> {
  const all = await askedOf(cluster, region);
  return all.map((each) => each["x-request-id"] ?? "").filter((id) => id.startsWith(`${tenant}-`));
}

/** Whom a region's proxy called for the bound tenant's requests, each as `first eu-west-a complete`. */
export async function calledFor(cluster: Cluster, region: string): Promise<readonly string[]> {
  const url = `${opsOf(cluster, region)}/decisions?limit=1000`;
  // As docs/cli.md tells it.
  const page = (await (await fetch(url)).json()) as {
    readonly decisions: readonly {
      readonly tenant: string;
      readonly attempts: readonly string[];
    }[];
  };
  return page.decisions.filter((each) => each.tenant === "bound").flatMap((each) => each.attempts);
}
