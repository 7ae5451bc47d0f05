// What a proxy can be told from outside: every setting is an environment variable and a flag.

import {
  type Address,
  address,
  formatHelp,
  formatProblem,
  integer,
  list,
  type Problem,
  parseAddress,
  problem,
  readCommandLine,
  type SettingsOf,
  text,
} from "@meridian/proto/base";

export const settingsTable = {
  MERIDIAN_REGION: text("region whose backends this proxy serves"),
  MERIDIAN_ID: text("name of this proxy in the fleet; default proxy-REGION-PORT", {
    fallback: "",
  }),
  MERIDIAN_LISTEN: address("host:port for clients, plain HTTP"),
  MERIDIAN_PEER_LISTEN: address("host:port for other regions' proxies, mutual TLS"),
  MERIDIAN_OPS_LISTEN: address("host:port for health and metrics, plain HTTP"),
  MERIDIAN_CONTROL: list("control planes host:port, own region's first; none: last-good file", {
    fallback: [],
  }),
  MERIDIAN_SIBLINGS: list("peer host:port of the region's other proxies, to start from", {
    fallback: [],
  }),
  MERIDIAN_PEER_VIA: list("peer addresses reached another way, ADDRESS=WAY", { fallback: [] }),
  MERIDIAN_DATA_DIR: text("folder of the last-good snapshot and decisions; this proxy's own"),
  MERIDIAN_TLS_DIR: text("folder with ca.pem, cert.pem and key.pem"),
  MERIDIAN_DRAIN_MS: integer(
    "how long a stop waits for live requests, milliseconds",
    { min: 0, max: 86_400_000 },
    { fallback: 600_000 },
  ),
  MERIDIAN_BODY_MAX_BYTES: integer(
    "largest request body, bytes",
    { min: 1_024, max: 1_073_741_824 },
    { fallback: 33_554_432 },
  ),
  MERIDIAN_DECISIONS: integer(
    "requests that can be explained afterwards, kept in memory; 0: none",
    { min: 0, max: 1_000_000 },
    { fallback: 10_000 },
  ),
  MERIDIAN_THREADS: integer(
    "threads that serve requests; 0: one per core that the process may use",
    { min: 0, max: 256 },
    { fallback: 0 },
  ),
  MERIDIAN_LOG_LEVEL: text("trace, debug, info, warn, error or fatal", { fallback: "info" }),
};

/** The settings of one proxy, complete. */
export type Settings = {
  readonly region: string;
  readonly id: string;
  readonly listen: Address;
  readonly peerListen: Address;
  readonly opsListen: Address;
  /** host:port, the own region's first. */
  readonly controls: readonly string[];
  readonly siblings: readonly Address[];
  /** Peer address of the policy → where it is reached from here. */
  readonly peerVia: ReadonlyMap<string, string>;
  readonly dataDir: string;
  readonly tlsDir: string;
  readonly drainMs: number;
  readonly bodyBytesMax: number;
  /** Requests whose decision records are remembered; 0: none. */
  readonly decisionsMax: number;
  /** 0: one per core. */
  readonly threads: number;
  readonly logLevel: string;
};

/** `exit`: nothing is to be run; the text goes to stdout (code 0) or stderr (code 2). */
export type SettingsRead =
  | { readonly kind: "settings"; readonly settings: Settings }
  | { readonly kind: "exit"; readonly code: 0 | 2; readonly text: string };

const usage = `The proxy of one region: takes clients' requests and sends them to the region's backends,
or to another region where these can't answer.

usage: node data-plane/proxy/src/main.ts [--SETTING VALUE]...`;

export function readProxySettings(
  args: readonly string[],
  environment: { readonly [name: string]: string | undefined },
): SettingsRead {
  const read = readCommandLine(settingsTable, args, (name) => environment[name]);
  if (read.kind === "help") {
    return { kind: "exit", code: 0, text: formatHelp(usage, settingsTable) };
  }
  if (read.settings.kind === "err") return refuse(read.settings.error);
  const settings = arrange(read.settings.value);
  const problems = checkMeaning(read.settings.value);
  return problems.length > 0 ? refuse(problems) : { kind: "settings", settings };
}

function refuse(problems: readonly Problem[]): SettingsRead {
  const lines = problems.map(formatProblem).join("\n");
  return { kind: "exit", code: 2, text: `${lines}\nAll settings: --help\n` };
}

function arrange(read: SettingsOf<typeof settingsTable>): Settings {
  const port = read.MERIDIAN_LISTEN.port;
  return {
    region: read.MERIDIAN_REGION,
    id: read.MERIDIAN_ID === "" ? `proxy-${read.MERIDIAN_REGION}-${port}` : read.MERIDIAN_ID,
    listen: read.MERIDIAN_LISTEN,
    peerListen: read.MERIDIAN_PEER_LISTEN,
    opsListen: read.MERIDIAN_OPS_LISTEN,
    controls: read.MERIDIAN_CONTROL,
    siblings: read.MERIDIAN_SIBLINGS.map(parseAddress).filter((each) => each !== undefined),
    peerVia: new Map(read.MERIDIAN_PEER_VIA.map(splitWay)),
    dataDir: read.MERIDIAN_DATA_DIR,
    tlsDir: read.MERIDIAN_TLS_DIR,
    drainMs: read.MERIDIAN_DRAIN_MS,
    bodyBytesMax: read.MERIDIAN_BODY_MAX_BYTES,
    decisionsMax: read.MERIDIAN_DECISIONS,
    threads: read.MERIDIAN_THREADS,
    logLevel: read.MERIDIAN_LOG_LEVEL,
  };
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

function checkMeaning(read: SettingsOf<typeof settingsTable>): readonly Problem[] {
  const addresses = [
    ...read.MERIDIAN_CONTROL.map((each) => ["MERIDIAN_CONTROL", each] as const),
    ...read.MERIDIAN_SIBLINGS.map((each) => ["MERIDIAN_SIBLINGS", each] as const),
    ...read.MERIDIAN_PEER_VIA.flatMap((each) =>
      splitWay(each).map((part) => ["MERIDIAN_PEER_VIA", part] as const),
    ),
  ];
  const problems = addresses
    .filter(([, each]) => parseAddress(each) === undefined)
    .map(([name, each]) =>
      problem("setting_invalid", name, `"${each}" is not host:port`, settingsTable[name].help),
    );
  if (!logLevels.includes(read.MERIDIAN_LOG_LEVEL)) {
    const message = `"${read.MERIDIAN_LOG_LEVEL}" is no level`;
    problems.push(problem("setting_invalid", "MERIDIAN_LOG_LEVEL", message, logLevels.join(", ")));
  }
  return problems;
}

function splitWay(each: string): readonly [string, string] {
  const at = each.indexOf("=");
  return at < 0 ? [each, ""] : [each.slice(0, at), each.slice(at + 1)];
}
