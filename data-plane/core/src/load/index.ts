// The door of what threads share: counters per target, who owns their slots, and how a policy comes into force on all.

export {
  type ActivationCommand,
  type ActivationEvent,
  type Activations,
  createActivations,
} from "./activations.ts";
export { Demand } from "./demand.ts";
export { EngineTotals, type Settled, type Totals } from "./engine-totals.ts";
export {
  createLoadBuffers,
  type LoadBuffers,
  type LoadShare,
  openLoadBuffers,
  ownLoad,
} from "./load-share.ts";
export { type CountedOutcome, LoadTable, type Stripes } from "./load-table.ts";
export { GivenSlots, SlotKeeper, type Slots } from "./slot-keeper.ts";
