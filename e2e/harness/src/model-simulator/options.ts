// The simulator's command line, read once: all that is wrong at the same time.

import { parseArgs } from "node:util";
import { type ModelSpec, parseModelSpec, presets } from "./model-size.ts";
import { type AssistantPrefix, assistantPrefixes } from "./surface.ts";

export type Options =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly problems: readonly string[] }
  | {
      readonly kind: "run";
      /** Several ports: one process that stands for as many servers of the same models. */
      readonly ports: readonly number[];
      /** A port for the switches alone, which no fault closes. */
      readonly controlPort: number | undefined;
      readonly models: readonly ModelSpec[];
      readonly speed: number;
      readonly seed: string;
      readonly assistantPrefix: AssistantPrefix;
    };

const help = `Usage: node e2e/harness/src/model-simulator/main.ts --port PORT --model NAME:SIZE …

  --port PORT           repeatable: where to listen, on 127.0.0.1; several are as many servers of the same
                        models, with one set of faults and one log
  --control-port PORT   /faults and /requests here too; needed for faults of a port
  --model NAME:SIZE     repeatable; SIZE is ${Object.keys(presets).join(", ")}, or
                        prefillMsPerToken:decodeMs[:decodeMsPerSequence[:slots[:queueMax[:latencyMs]]]]
  --speed FACTOR        divides every duration (default 1)
  --seed TEXT           decides which requests a fault with a share meets (default "simulator")
  --assistant-prefix W  a chat that ends with the assistant's words: ${assistantPrefixes.join(", ")}
                        (default none: a new answer). Going on, it says the rest of what it would have said;
                        with "echo": true in the request these words are said again

Switches: POST /faults {"kind":"status","status":503,"share":0.5,"count":10}; GET and DELETE /faults,
DELETE /faults/ID, /faults?model=NAME, /faults?port=PORT; GET /requests, /requests?model=NAME&port=PORT&after=NUMBER;
DELETE /requests. Each fault takes "share", "count", "model", "port".
Kinds: status with "status" and, if wished, "retryAfterSeconds" and "code"; slow with "factor"; trickle with
"bytes" and "everyMs"; refuse, close-at-connect, black-hole (of a port); close-when-reused,
reset-before-headers, stall-before-headers, reset-after-headers, empty-stream, empty-body, empty-content,
other-words, error-body, wrong-content-type, whole-answer, no-sentinel, reset-after-finish, no-usage; and with "token": N
or "headers" (right after the head): reset-at-token, end-at-token, end-in-frame-at-token, stall-at-token,
pings-at-token, error-at-token, malformed-at-token, oversize-at-token.`;

const flags = {
  help: { type: "boolean", default: false },
  port: { type: "string", multiple: true, default: [] as string[] },
  "control-port": { type: "string" },
  model: { type: "string", multiple: true, default: [] as string[] },
  speed: { type: "string", default: "1" },
  seed: { type: "string", default: "simulator" },
  "assistant-prefix": { type: "string", default: "none" },
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
  readonly port: readonly string[];
  readonly "control-port"?: string;
  readonly model: readonly string[];
  readonly speed: string;
  readonly seed: string;
  readonly "assistant-prefix": string;
}): Options {
  const problems: string[] = [];
  const ports = values.port.map((each) => portOf(each, "--port", problems));
  if (ports.length === 0) problems.push("--port: at least one is needed");
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
  const assistantPrefix = assistantPrefixes.find((each) => each === values["assistant-prefix"]);
  if (assistantPrefix === undefined) {
    problems.push(`--assistant-prefix: one of ${assistantPrefixes.join(", ")}`);
    return { kind: "wrong", problems };
  }
  if (problems.length > 0) return { kind: "wrong", problems };
  return { kind: "run", ports, controlPort, models, speed, seed: values.seed, assistantPrefix };
}

function portOf(text: string | undefined, name: string, problems: string[]): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  problems.push(`${name}: a port from 1 to 65535`);
  return 0;
}
