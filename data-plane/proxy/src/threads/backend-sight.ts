// This region's backends by name, over the memory that a proxy's threads share: for what is read beside serving.

import type { EngineLoad } from "@meridian/data-core/balance";
import type { CallKnowledge, Engine, Serving } from "@meridian/data-core/engine";
import type { LoadTable } from "@meridian/data-core/load";
import type { Instant } from "@meridian/proto/base";

export type BackendSightParts = {
  readonly engine: Pick<Engine, "serving">;
  readonly load: LoadTable;
  readonly calls: CallKnowledge;
};

/** A backend that the policy in force does not know has no load, and what is noted of it is dropped. */
export class BackendSight {
  readonly #parts: BackendSightParts;
  #upstreams: Serving["upstreams"] | undefined;
  #slots: ReadonlyMap<string, number> = new Map();

  constructor(parts: BackendSightParts) {
    this.#parts = parts;
  }

  /** Calls of all threads. */
  inFlight(backend: string): number {
    const slot = this.#slotOf(backend);
    return slot === undefined ? 0 : this.#parts.load.inFlight(slot);
  }

  /** What it says of its queue, as of an instant of the main thread's clock. */
  note(backend: string, load: EngineLoad, at: Instant): void {
    const slot = this.#slotOf(backend);
    if (slot !== undefined) this.#parts.calls.engines.note(slot, load, at);
  }

  /** The newest of that; all undefined: it told nothing lately. */
  loadOf(backend: string, now: Instant): EngineLoad {
    const { engines } = this.#parts.calls;
    const slot = this.#slotOf(backend) ?? -1;
    return {
      waiting: engines.waiting(slot, now),
      running: engines.running(slot, now),
      kvUse: engines.kvUse(slot, now),
    };
  }

  /** Tables are immutable: a new list of targets is a new policy. */
  #slotOf(backend: string): number | undefined {
    const upstreams = this.#parts.engine.serving()?.upstreams;
    if (upstreams !== this.#upstreams) {
      this.#upstreams = upstreams;
      const backends = upstreams?.filter((each) => each.kind === "backend") ?? [];
      this.#slots = new Map(backends.map(({ name, slot }) => [name, slot]));
    }
    return this.#slots.get(backend);
  }
}
