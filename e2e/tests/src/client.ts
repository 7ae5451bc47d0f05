// How the tests talk to a cluster: the official SDK without retries of its own, and a look at the headers.

import { type Cluster, localKey } from "@meridian/harness";
import OpenAI from "openai";
import { afterEach } from "vitest";

/** Every failure is to be seen, so nothing is tried again by the SDK. */
export function client(endpoint: string, apiKey: string = localKey): OpenAI {
  return new OpenAI({ baseURL: `${endpoint}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
}

export const messages = [{ role: "user", content: "Which way to the sea?" }] as const;

export type Served = {
  readonly text: string;
  readonly region: string | null;
  readonly backend: string | null;
  /** By which `meridian explain` finds it. */
  readonly decision: string | null;
};

/** One answer without streaming, and who gave it. */
export async function askOnce(endpoint: string, content = "Which way?"): Promise<Served> {
  const { data, response } = await client(endpoint)
    .chat.completions.create({ model: "sim-small", messages: [{ role: "user", content }] })
    .withResponse();
  return {
    text: data.choices[0]?.message.content ?? "",
    region: response.headers.get("x-meridian-region"),
    backend: response.headers.get("x-meridian-backend"),
    decision: response.headers.get("x-meridian-decision"),
  };
}

/** Many at the same time; each must succeed. */
export function askMany(endpoint: string, count: number): Promise<readonly Served[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => askOnce(endpoint, `Question ${index}`)),
  );
}

/** The regions that answered, each once. */
export function regionsOf(served: readonly Served[]): readonly (string | null)[] {
  return [...new Set(served.map((each) => each.region))];
}

/** The name of a cluster's first region and its endpoint. */
export function endpointOf(cluster: Cluster, region: string): string {
  const [endpoint] = cluster.region(region).endpoints;
  if (endpoint === undefined) throw new Error(`${region} has no proxy`);
  return endpoint;
}

/** When a test fails, the end of every program's output is shown with it. */
export function showLogsOfFailures(cluster: () => Cluster | undefined): void {
  afterEach(({ task }) => {
    if (task.result?.state === "fail") console.error(cluster()?.logs());
  });
}
