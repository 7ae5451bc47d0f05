// What `npm start` says when everything runs.

import { relative, resolve } from "node:path";
import type { Cluster } from "@meridian/harness";
import { localKey } from "@meridian/harness";
import type { ExternalBackend } from "./external-backends.ts";
import { defaultPort, type Options } from "./options.ts";

export type SummaryFacts = {
  readonly cluster: Cluster;
  readonly options: Options;
  readonly external: readonly ExternalBackend[];
  /** Models of an Ollama that runs but is not used. */
  readonly ollamaModels: readonly string[] | undefined;
  readonly switchUrl: string;
  readonly seconds: number;
};

export function summary(facts: SummaryFacts): string {
  const parts = [
    ready(facts),
    ask(facts),
    tryNext(facts),
    offer(facts),
    "Ctrl-C stops everything.",
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function ready({ cluster, seconds, external }: SummaryFacts): string {
  const rows = cluster.regions.map((region) => {
    const pids = region.backends.map((each) => `${each.name} (process ${each.pid ?? "-"})`);
    const backends = pids.length > 0 ? pids : external.map((each) => each.url);
    return `  ${region.name.padEnd(10)} ${region.endpoints[0] ?? ""}   backends: ${backends.join(", ")}`;
  });
  return [`Meridian runs; it took ${seconds.toFixed(1)} s.`, "", ...rows].join("\n");
}

function ask({ cluster }: SummaryFacts): string {
  const endpoint = cluster.regions[0]?.endpoints[0] ?? "";
  return `Ask something (the response headers say which region and backend answered):

  curl -si ${endpoint}/v1/chat/completions \\
    -H 'authorization: Bearer ${localKey}' -H 'content-type: application/json' \\
    -d '{"model":"default","messages":[{"role":"user","content":"Where are you?"}]}'

With the official SDK (npm install openai):

  import OpenAI from "openai";
  const client = new OpenAI({ baseURL: "${endpoint}/v1", apiKey: "${localKey}" });
  const messages = [{ role: "user", content: "Where are you?" }];
  const stream = await client.chat.completions.create({ model: "default", messages, stream: true });
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`;
}

function tryNext({ cluster, options, external, switchUrl }: SummaryFacts): string {
  const region = cluster.regions[0]?.name ?? "";
  const meridian = `npm run --silent meridian --`;
  const lines: (readonly [string, string])[] = [
    [`${meridian} status`, "regions, proxies, backends"],
    [`${meridian} drain region ${region} --for 5m`, "its clients are answered elsewhere"],
    [`${meridian} undrain region ${region}`, "and back"],
    [
      `${meridian} apply -f ${shownFolder(options.dataDir)}/policy.yaml`,
      "after you have changed it",
    ],
  ];
  if (external.length === 0) {
    lines.push(
      [
        `curl -X POST ${switchUrl}/kill/${region}`,
        `take ${region}'s backends away, then ask again`,
      ],
      [`curl -X POST ${switchUrl}/start/${region}`, "bring them back"],
      [`curl -s ${switchUrl}`, "every program with its process id"],
    );
  }
  const width = Math.max(...lines.map(([command]) => command.length));
  return [
    "Try next:",
    "",
    ...settings(cluster, options),
    ...lines.map(([command, what]) => `  ${command.padEnd(width)}  # ${what}`),
  ].join("\n");
}

/** As a person in this folder would write it. */
function shownFolder(folder: string): string {
  const path = relative(process.cwd(), folder);
  return path.startsWith("..") ? folder : path;
}

/** The command finds a default start by itself; another one has to be named. */
function settings(cluster: Cluster, options: Options): readonly string[] {
  if (options.basePort === defaultPort && options.dataDir === resolve(".meridian")) return [];
  return Object.entries(cluster.operatorEnvironment()).map(
    ([name, value]) => `  export ${name}=${value}`,
  );
}

function offer({ ollamaModels }: SummaryFacts): string {
  if (ollamaModels === undefined) return "";
  const models = ollamaModels.length === 0 ? "no models yet" : ollamaModels.slice(0, 5).join(", ");
  return `An Ollama runs on this machine (${models}); it is not used. To use it:
  npm start -- --backend ollama=http://127.0.0.1:11434`;
}
