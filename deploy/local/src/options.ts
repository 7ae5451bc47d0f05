// The command line of `npm start`, read once: all that is wrong at the same time.

import { resolve } from "node:path";
import { parseArgs } from "node:util";

export type BackendOption = { readonly kind: "openai" | "ollama"; readonly url: string };

export type Options = {
  /** The first region's port for clients; all others follow from it. */
  readonly basePort: number;
  readonly store: "embedded" | "etcd";
  /** Real model servers instead of simulated ones. */
  readonly backends: readonly BackendOption[];
  /** Absolute. */
  readonly dataDir: string;
  readonly isFresh: boolean;
};

export type Parsed =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly problems: readonly string[] }
  | { readonly kind: "run"; readonly options: Options };

export const defaultPort = 8801;
/** Ports from the base on that may be used. */
export const portSpan = 80;

const help = `Usage: npm start -- [option …]

Starts three regions on this machine: us-east, eu-west and ap-south, each with a proxy and two model
backends, and a control plane. The backends are simulated unless you name real ones.

  --port BASE           clients' port of the first region (default ${defaultPort}); the regions' are BASE,
                        BASE+1, BASE+2, everything else lies in BASE-1 to BASE+${portSpan - 1}
  --backend KIND=URL    a model server to use instead of the simulated ones, in every region; repeatable.
                        KIND is openai (anything with /v1/models) or ollama, for instance
                        --backend openai=http://127.0.0.1:8080 --backend ollama=http://127.0.0.1:11434
  --etcd                three etcd members and three control planes, one per region, with the distance
                        between real regions; its state lasts until it is stopped
  --data DIR            where certificates, policy and state are kept (default .meridian)
  --fresh               begin with nothing: forget the certificates, policy and state kept there
  --help                this text`;

const flags = {
  help: { type: "boolean", short: "h", default: false },
  port: { type: "string", default: String(defaultPort) },
  backend: { type: "string", multiple: true, default: [] as string[] },
  etcd: { type: "boolean", default: false },
  data: { type: "string", default: ".meridian" },
  fresh: { type: "boolean", default: false },
} as const;

export function parseOptions(args: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({ args: [...args], options: flags });
    return values.help ? { kind: "help", text: help } : check(values);
  } catch (error) {
    return { kind: "wrong", problems: [error instanceof Error ? error.message : String(error)] };
  }
}

function check(values: {
  readonly port: string;
  readonly backend: readonly string[];
  readonly etcd: boolean;
  readonly data: string;
  readonly fresh: boolean;
}): Parsed {
  const problems: string[] = [];
  const basePort = Number(values.port);
  const highest = 65_536 - portSpan;
  if (!Number.isInteger(basePort) || basePort < 1_025 || basePort > highest) {
    problems.push(`--port ${values.port}: a number from 1025 to ${highest} is needed`);
  }
  const backends = values.backend.flatMap((text) => parseBackend(text, problems));
  if (problems.length > 0) return { kind: "wrong", problems };
  const store = values.etcd ? "etcd" : "embedded";
  const { fresh: isFresh } = values;
  const dataDir = resolve(values.data);
  return { kind: "run", options: { basePort, store, backends, dataDir, isFresh } };
}

function parseBackend(text: string, problems: string[]): readonly BackendOption[] {
  const equals = text.indexOf("=");
  const kind = text.slice(0, equals);
  const url = URL.parse(text.slice(equals + 1));
  const isKind = kind === "openai" || kind === "ollama";
  if (isKind && (url?.protocol === "http:" || url?.protocol === "https:")) {
    // The protocol's own paths begin with /v1; an address that ends with it means the same server.
    return [{ kind, url: url.origin + url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "") }];
  }
  problems.push(`--backend ${text}: openai=URL or ollama=URL is needed, with an http address`);
  return [];
}
