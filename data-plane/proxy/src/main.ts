// A proxy: settings, then the last-good snapshot, then serving, and only then the control plane.

import { randomUUID } from "node:crypto";
import { type Clock, formatProblem, seededRandom } from "@meridian/proto/base";
import { startControl } from "./control/start-control.ts";
import { createDecisionPages } from "./decisions/index.ts";
import { OwnHealth } from "./health/own-health.ts";
import { endBySignal, ListenError, listenAll, listenOn, within } from "./lifecycle.ts";
import { createOpsServer } from "./ops-server.ts";
import { PathProber } from "./paths/path-prober.ts";
import { EngineReader } from "./probe/engine-reader.ts";
import { RegionWatch } from "./region-watch.ts";
import { readProxySettings, type Settings } from "./settings.ts";
import { createLogger, createMetrics } from "./telemetry.ts";
import { startListeners } from "./threads/listeners.ts";
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
  let stopping = false;
  const isStopping = () => stopping;

  const listeners = await startListeners({ settings, tls, clock, random, logger, metrics });
  const health = new OwnHealth({ id, clock, random: random.fork("health"), logger, listeners });
  const { backends } = listeners;
  const reader = new EngineReader({ clock, random: random.fork("engines"), backends });
  const { paths } = listeners;
  const prober = new PathProber({
    ...settings,
    clock,
    random: random.fork("paths"),
    peerTls: tls,
    paths,
    proxies: () => listeners.report().backends.flatMap((each) => each.probers),
    logger,
  });
  const watched = { listeners, health, reader, prober };
  const parts = { settings, tls, clock, random, logger, metrics, ...watched, isStopping };
  const control = await startControl(parts);
  const { report } = listeners;
  const watch = new RegionWatch({
    region,
    clock,
    report,
    status: control.status,
    isStopping,
    weights: () => health.weights,
  });
  const ops = createOpsServer({
    readiness: () => control.readiness(),
    region: () => watch.read(),
    metrics: async () => {
      const { decisionsDropped, metrics: others } = await listeners.counted();
      const isOpen = watch.read().isOpen;
      return metrics.expose({ ...control.readings(), isOpen, decisionsDropped }, others);
    },
    decisions: createDecisionPages(listeners.decisions, settings),
    metricsType: metrics.contentType,
  });
  try {
    const used = await listeners.listen();
    const address = settings.opsListen;
    const listen = listenOn(ops);
    const own = await listenAll([{ name: "ops", flag: "--ops-listen", address, listen }]);
    const threads = listeners.requestsByThread().length;
    logger.info({ ...used, ...own, threads, ...startCost() }, "listening");
  } catch (cause) {
    if (!(cause instanceof ListenError)) throw cause;
    return fail(3, cause.message);
  }
  endBySignal(async (signal) => {
    stopping = true;
    const live = report().liveRequests;
    logger.info({ signal, live, drainMs: settings.drainMs }, "draining");
    const isDrained = await within(settings.drainMs, listeners.beginDrain());
    logger.info({ isDrained }, "stopping");
    const watchers = [health, reader, prober].map((each) => each.close());
    const probesEnd = within(diskMs, Promise.all(watchers));
    await Promise.all([within(diskMs, control.close()), probesEnd, listeners.close()]);
    logger.flush();
  });
  await control.connect();
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
