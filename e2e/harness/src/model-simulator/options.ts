// The simulator's command line, read once: all that is wrong at the same time.

import { parseArgs } from "node:util";
import { type ModelSpec, parseModelSpec, presets } from "./model-size.ts";

export type Options =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly problems: readonly string[] }
  | {
      readonly kind: "run";
      readonly port: number;
      /** A port for the switches alone, which stays open while the fault "refuse" closes the other. */
      readonly controlPort: number | undefined;
      readonly models: readonly ModelSpec[];
      readonly speed: number;
      readonly seed: string;
    };

const help = `Usage: node e2e/harness/src/model-simulator/main.ts --port PORT --model NAME:SIZE …

  --port PORT           where to listen, on 127.0.0.1
  --control-port PORT   /faults and /requests here too; needed for the fault "refuse"
  --model NAME:SIZE     repeatable; SIZE is ${Object.keys(presets).join(", ")}, or
                        prefillMsPerToken:decodeMs[:decodeMsPerSequence[:slots[:queueMax]]]
  --speed FACTOR        divides every duration (default 1)
  --seed TEXT           decides which requests a fault with a share meets (default "simulator")

Switches: POST /faults {"kind":"status","status":503,"share":0.5,"count":10}; GET and DELETE /faults;
GET and DELETE /requests. Kinds: status, slow, refuse, reset-before-headers, reset-after-headers,
empty-stream, error-body, wrong-content-type, and with "token": reset-at-token, end-at-token,
stall-at-token, error-at-token, malformed-at-token.`;

const flags = {
  help: { type: "boolean", default: false },
  port: { type: "string" },
  "control-port": { type: "string" },
  model: { type: "string", multiple: true, default: [] as string[] },
  speed: { type: "string", default: "1" },
  seed: { type: "string", default: "simulator" },
} as const;

export function readOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({ args: [...args], options: flags });
    return values.help ? { kind: "help", text: help } : check(values);
  } catch (error) {
    return { kind: "wrong", problems: [error instanceof Error ? error.message : String(error)] };
  }
}

function check(values: {
  readonly port?: string;
  readonly "control-port"?: string;
  readonly model: readonly string[];
  readonly speed: string;
  readonly seed: string;
}): Options {
  const problems: string[] = [];
  const port = portOf(values.port, "--port", problems);
  const control = values["control-port"];
  const controlPort =
    control === undefined ? undefined : portOf(control, "--control-port", problems);
  const speed = Number(values.speed);
  if (!(speed > 0)) problems.push("--speed: a number above 0");
  const models: ModelSpec[] = [];
  for (const each of values.model) {
    const parsed = parseModelSpec(each);
    if (parsed.kind === "ok") models.push(parsed.value);
    else problems.push(`--model ${parsed.error}`);
  }
  if (values.model.length === 0) problems.push("--model: at least one is needed");
  if (problems.length > 0) return { kind: "wrong", problems };
  return { kind: "run", port, controlPort, models, speed, seed: values.seed };
}

function portOf(text: string | undefined, name: string, problems: string[]): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  problems.push(`${name}: a port from 1 to 65535`);
  return 0;
}
