// One listener, in the main thread: calls and answers without a message between.

import { ownCallKnowledge } from "@meridian/data-core/engine";
import { ownLoad } from "@meridian/data-core/load";
import { within } from "../lifecycle.ts";
import { BackendSight } from "./backend-sight.ts";
import { createListener, diskMs } from "./listener.ts";
import type { ListenerParts, Listeners } from "./listeners.ts";

export function serveHere(parts: ListenerParts): Listeners {
  const { clock, settings } = parts;
  const load = ownLoad();
  const calls = ownCallKnowledge(load.table.slots);
  const listener = createListener({
    ...parts,
    decisions: { name: "main", recordsMax: settings.decisionsMax },
    shared: { load, calls },
  });
  const report = () => listener.engine.report(clock.now());
  return {
    activate: (snapshot, answer) => {
      const prepared = listener.prepare(snapshot);
      if (prepared.kind === "ok") prepared.value.commit();
      answer(prepared.kind === "err" ? prepared.error : []);
    },
    observe: (frame) => listener.observe(frame),
    judge: (verdicts) => {
      listener.engine.apply({ kind: "verdicts", verdicts }, clock.now());
    },
    report,
    requestsByThread: () => [report().requests],
    listen: () => listener.listen(settings, false),
    beginDrain: () => listener.server.beginDrain(),
    close: async () => {
      await within(diskMs, listener.close());
    },
    decisions: listener.decisions,
    paths: calls.paths,
    backends: new BackendSight({ engine: listener.engine, load: load.table, calls }),
    counted: async () => ({ metrics: [], decisionsDropped: listener.decisions.dropped() }),
  };
}
