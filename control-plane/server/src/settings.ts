// What a control plane can be told from outside: every setting is an environment variable and a flag.

import {
  type Address,
  address,
  formatHelp,
  formatProblem,
  list,
  type Problem,
  parseAddress,
  problem,
  readCommandLine,
  type SettingsOf,
  text,
} from "@meridian/proto/base";

export const settingsTable = {
  MERIDIAN_REGION: text("region that this control plane is home in"),
  MERIDIAN_ID: text("name of this control plane; default control-REGION", { fallback: "" }),
  MERIDIAN_LISTEN: address("host:port for proxies and operators, gRPC over mutual TLS"),
  MERIDIAN_ADVERTISE: text(
    "host:port by which other control planes reach it; default MERIDIAN_LISTEN",
    {
      fallback: "",
    },
  ),
  MERIDIAN_OPS_LISTEN: address("host:port for health and metrics, plain HTTP"),
  MERIDIAN_STORE: text(
    "embedded:DIR, or etcd:http://HOST:PORT,… with the own region's member first",
  ),
  MERIDIAN_SERVES_REGIONS: list("regions whose digest and heartbeat it writes; default its own", {
    fallback: [],
  }),
  MERIDIAN_TLS_DIR: text("folder with ca.pem, cert.pem and key.pem"),
  MERIDIAN_LOG_LEVEL: text("trace, debug, info, warn, error or fatal", { fallback: "info" }),
};

/** The settings of one control plane, complete. */
export type Settings = {
  readonly region: string;
  readonly id: string;
  readonly listen: Address;
  /** undefined: the address that it listens on. */
  readonly advertise: string | undefined;
  readonly opsListen: Address;
  readonly store: string;
  readonly servesRegions: readonly string[];
  readonly tlsDir: string;
  readonly logLevel: string;
};

/** `exit`: nothing is to be run; the text goes to stdout (code 0) or stderr (code 2). */
export type SettingsRead =
  | { readonly kind: "settings"; readonly settings: Settings }
  | { readonly kind: "exit"; readonly code: 0 | 2; readonly text: string };

const usage = `The control plane of one region: keeps policies in the store and streams them to proxies.

usage: node control-plane/server/src/main.ts [--SETTING VALUE]...

exits with 0 after a stop by SIGTERM or SIGINT, 2 when a setting is wrong, 3 when it can't start.`;

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
const nameForm = /^[a-z0-9][a-z0-9-]{0,62}$/;
const idForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function readControlSettings(
  args: readonly string[],
  environment: { readonly [name: string]: string | undefined },
): SettingsRead {
  const read = readCommandLine(settingsTable, args, (name) => environment[name]);
  if (read.kind === "help") {
    return { kind: "exit", code: 0, text: formatHelp(usage, settingsTable) };
  }
  if (read.settings.kind === "err") return refuse(read.settings.error);
  const settings = arrange(read.settings.value);
  const problems = checkMeaning(settings);
  return problems.length > 0 ? refuse(problems) : { kind: "settings", settings };
}

function refuse(problems: readonly Problem[]): SettingsRead {
  const lines = problems.map(formatProblem).join("\n");
  return { kind: "exit", code: 2, text: `${lines}\nAll settings: --help\n` };
}

function arrange(read: SettingsOf<typeof settingsTable>): Settings {
  const region = read.MERIDIAN_REGION;
  const regions = read.MERIDIAN_SERVES_REGIONS;
  return {
    region,
    id: read.MERIDIAN_ID === "" ? `control-${region}` : read.MERIDIAN_ID,
    listen: read.MERIDIAN_LISTEN,
    advertise: read.MERIDIAN_ADVERTISE === "" ? undefined : read.MERIDIAN_ADVERTISE,
    opsListen: read.MERIDIAN_OPS_LISTEN,
    store: read.MERIDIAN_STORE,
    servesRegions: regions.length === 0 ? [region] : [...new Set(regions)],
    tlsDir: read.MERIDIAN_TLS_DIR,
    logLevel: read.MERIDIAN_LOG_LEVEL,
  };
}

function checkMeaning(settings: Settings): readonly Problem[] {
  const problems: Problem[] = [];
  const object = (name: keyof typeof settingsTable, message: string, hint: string) =>
    problems.push(problem("setting_invalid", name, message, hint));
  if (!nameForm.test(settings.region)) {
    object("MERIDIAN_REGION", `"${settings.region}" is no region's name`, "a-z, 0-9, hyphens");
  }
  for (const region of settings.servesRegions) {
    if (nameForm.test(region)) continue;
    object("MERIDIAN_SERVES_REGIONS", `"${region}" is no region's name`, "a-z, 0-9, hyphens");
  }
  if (!idForm.test(settings.id)) {
    object("MERIDIAN_ID", `"${settings.id}" is no name`, "letters, digits, . _ -, at most 128");
  }
  if (settings.advertise !== undefined && parseAddress(settings.advertise) === undefined) {
    object(
      "MERIDIAN_ADVERTISE",
      `"${settings.advertise}" is not host:port`,
      "for instance 10.0.0.1:7443",
    );
  }
  if (!logLevels.includes(settings.logLevel)) {
    object("MERIDIAN_LOG_LEVEL", `"${settings.logLevel}" is no level`, logLevels.join(", "));
  }
  return problems;
}
