// A proxy: settings, then the last-good snapshot, then serving, and only then the control plane.

import { randomUUID } from "node:crypto";
import { createEngine } from "@meridian/data-core/engine";
import { type Clock, formatProblem, seededRandom } from "@meridian/proto/base";
import type { Logger } from "pino";
import { startControl } from "./control/start-control.ts";
import { createDecisionPages, createDecisions, type Decisions } from "./decisions/index.ts";
import { endBySignal, ListenError, listenAll, listenApp, listenOn, within } from "./lifecycle.ts";
import { createOpsServer } from "./ops-server.ts";
import { RegionWatch } from "./region-watch.ts";
import { createDataServer } from "./server/index.ts";
import { readProxySettings, type Settings } from "./settings.ts";
import { createLogger, createMetrics } from "./telemetry.ts";
import { readTlsFiles, type TlsFiles } from "./tls.ts";

const clock: Clock = { now: () => performance.now(), wall: () => Date.now() };

/** A disk that hangs holds a stop up no longer than this. */
const diskMs = 2_000;

const read = readProxySettings(process.argv.slice(2), process.env);
if (read.kind === "exit") {
  (read.code === 0 ? process.stdout : process.stderr).write(read.text);
  process.exitCode = read.code;
} else {
  const tls = readTlsFiles(read.settings.tlsDir, read.settings.region);
  if (tls.kind === "ok") await run(read.settings, tls.value);
  else fail(2, tls.error.map(formatProblem).join("\n"));
}

async function run(settings: Settings, tls: TlsFiles): Promise<void> {
  const { id, region } = settings;
  const logger = createLogger({ level: settings.logLevel, id, region });
  const metrics = createMetrics(region);
  const random = seededRandom(randomUUID());
  let isStopping = false;

  const engine = createEngine({
    region,
    random: random.fork("engine"),
    onHealthChange: (target, change) => logger.warn({ target, ...change }, "health changed"),
  });
  const decisions = openDecisions(settings, logger);
  const server = createDataServer({
    engine,
    random: random.fork("server"),
    clock,
    settings,
    peerTls: tls,
    logger,
    metrics,
    decisions,
  });
  metrics.watchConnections(server.clientApp.server);
  if (server.peerApp !== undefined) metrics.watchConnections(server.peerApp.server);
  const control = await startControl({
    settings,
    tls,
    clock,
    random,
    logger,
    metrics,
    engine,
    server,
    decisions,
    isStopping: () => isStopping,
  });
  const { status } = control;
  const watch = new RegionWatch({ region, clock, engine, status, isStopping: () => isStopping });

  const ops = createOpsServer({
    readiness: () => control.readiness(),
    region: () => watch.read(),
    metrics: () =>
      metrics.expose({
        ...control.readings(),
        isOpen: watch.read().isOpen,
        decisionsDropped: decisions.dropped(),
      }),
    decisions: createDecisionPages(decisions, settings),
    metricsType: metrics.contentType,
  });
  try {
    const listening = await listenAll([
      {
        name: "clients",
        flag: "--listen",
        address: settings.listen,
        listen: listenApp(server.clientApp),
      },
      {
        name: "peers",
        flag: "--peer-listen",
        address: settings.peerListen,
        listen: listenApp(server.peerApp),
      },
      { name: "ops", flag: "--ops-listen", address: settings.opsListen, listen: listenOn(ops) },
    ]);
    logger.info({ ...listening, ...startCost() }, "listening");
  } catch (cause) {
    if (!(cause instanceof ListenError)) throw cause;
    return fail(3, cause.message);
  }
  endBySignal(async (signal) => {
    isStopping = true;
    logger.info({ signal, live: server.stats().live, drainMs: settings.drainMs }, "draining");
    const isDrained = await within(settings.drainMs, server.beginDrain());
    logger.info({ isDrained }, "stopping");
    await Promise.all([within(diskMs, control.close()), server.close()]);
    await within(diskMs, decisions.close());
    logger.flush();
  });
  await control.connect();
}

function openDecisions(settings: Settings, logger: Logger): Decisions {
  return createDecisions({
    ...settings,
    clock,
    recordsMax: settings.decisionsMax,
    failed: (cause) => logger.warn({ cause: String(cause) }, "decision records can't be written"),
  });
}

/** What the start took, in real time and in processor time; the budget is one second. */
function startCost(): { readonly startedMs: number; readonly startedCpuMs: number } {
  const { user, system } = process.cpuUsage();
  return { startedMs: Math.round(clock.now()), startedCpuMs: Math.round((user + system) / 1_000) };
}

function fail(code: number, message: string): void {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
