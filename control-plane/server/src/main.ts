// A control plane: settings, then the store, then serving proxies and operators until a signal.

import { formatProblem } from "@meridian/proto/base";
import { createControlPlane } from "./control-plane.ts";
import { startGrpcServer } from "./grpc/grpc-server.ts";
import { endBySignal, StartError, within } from "./lifecycle.ts";
import { startOpsServer } from "./ops-server.ts";
import { readControlSettings, type Settings } from "./settings.ts";
import { openStore } from "./store/open-store.ts";
import { systemClock, systemRandom } from "./system.ts";
import { createLogger, createMetrics } from "./telemetry.ts";
import { readTlsFiles, serverCredentials, type TlsFiles } from "./tls.ts";

/** A store that hangs, or a stream that does not end, holds a stop up no longer than this. */
const stopMs = 2_000;

const read = readControlSettings(process.argv.slice(2), process.env);
if (read.kind === "exit") {
  (read.code === 0 ? process.stdout : process.stderr).write(read.text);
  process.exitCode = read.code;
} else {
  const tls = readTlsFiles(read.settings.tlsDir, read.settings.region);
  if (tls.kind === "err") fail(2, tls.error.map(formatProblem).join("\n"));
  else await run(read.settings, tls.value).catch(failToStart);
}

async function run(settings: Settings, tls: TlsFiles): Promise<void> {
  const { id, region } = settings;
  const logger = createLogger({ level: settings.logLevel, id, region });
  const metrics = createMetrics();
  const random = systemRandom();
  const opened = await openStore(settings.store, {
    random: random.fork("store"),
    warn: (message) => logger.warn(message),
    onWatchState: (prefix, state, reason) => {
      metrics.watchState(prefix, state);
      logger.info({ prefix, state, reason }, "watch");
    },
  });
  if (opened.kind === "err") throw new StartError(formatProblem(opened.error));
  const store = opened.value;
  const parts = { settings, tls, store, clock: systemClock, random, logger, metrics };
  const plane = createControlPlane(parts);

  const ops = await startOpsServer(settings.opsListen, {
    notReady: plane.notReady,
    metrics: async () => ({
      contentType: metrics.contentType,
      text: await metrics.expose(plane.readings()),
    }),
  });
  if (ops.kind === "err") throw new StartError(ops.error);
  const { sync, admin } = plane;
  const grpc = await startGrpcServer(settings.listen, serverCredentials(tls), { sync, admin });
  if (grpc.kind === "err") throw new StartError(grpc.error);
  const listening = `${settings.listen.host}:${grpc.value.port}`;
  logger.info({ listening, ops: ops.value.port }, "listening");

  endBySignal(async (reason) => {
    logger.info({ reason }, "stopping");
    await within(stopMs, plane.close());
    await grpc.value.close(stopMs);
    await within(stopMs, store.close());
    await ops.value.close();
    logger.flush();
  });
  await plane.ready();
  plane.register(settings.advertise ?? listening);
  logger.info({ store: settings.store }, "ready");
}

function failToStart(cause: unknown): void {
  if (!(cause instanceof StartError)) throw cause;
  fail(3, cause.message);
}

function fail(code: number, message: string): void {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
