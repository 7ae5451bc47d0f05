// A model server without a model: speaks OpenAI, Anthropic and Ollama, answers in the time of a batch model,
// and fails on request. `node e2e/harness/src/model-simulator/main.ts --help` lists its options.

import { createServer, type Server } from "node:http";
import type { ModelSpec } from "./model-size.ts";
import { readOptions } from "./options.ts";
import { createSimulator, type Simulator } from "./server.ts";
import { answerSwitch } from "./switches.ts";

const options = readOptions(process.argv.slice(2));
if (options.kind === "help") {
  console.log(options.text);
  process.exit(0);
}
if (options.kind === "wrong") {
  for (const each of options.problems) console.error(`model-simulator: ${each}`);
  process.exit(2);
}

const { ports, controlPort } = options;
const simulator = createSimulator(
  { ...options, refusable: controlPort !== undefined },
  applyRefusals,
);
const servers = ports.map((port) => ({ port, server: simulator.openServer() }));
const control = controlPort === undefined ? undefined : controlServer(simulator, controlPort);
const names = options.models.map((each: ModelSpec) => each.name).join(", ");
for (const { port, server } of servers) {
  server.on("error", cannotListen);
  server.on("listening", () => {
    console.error(`model-simulator: serves ${names} on http://127.0.0.1:${port}`);
  });
  server.listen(port, "127.0.0.1");
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
// Started by a harness: when that ends, however it ends, so does this process.
process.on("disconnect", stop);

/** The fault "refuse": the port is closed, and what is connected is cut. */
function applyRefusals(): void {
  for (const { port, server } of servers) {
    const refuses = simulator.faults.refuses(port);
    if (refuses && server.listening) {
      server.close();
      server.closeAllConnections();
    } else if (!refuses && !server.listening) {
      server.listen(port, "127.0.0.1");
    }
  }
}

function controlServer({ faults, log }: Simulator, at: number): Server {
  const server = createServer((request, response) => {
    const shared = { faults, log, onSwitch: applyRefusals, refusable: true };
    if (!answerSwitch({ request, response, ...shared })) response.writeHead(404).end();
  });
  server.on("error", cannotListen);
  return server.listen(at, "127.0.0.1");
}

function cannotListen(error: Error): void {
  console.error(`model-simulator: cannot listen: ${error.message}`);
  process.exit(1);
}

function stop(): void {
  for (const server of [...servers.map((each) => each.server), control]) {
    server?.close();
    server?.closeAllConnections();
  }
  process.exit(0);
}
