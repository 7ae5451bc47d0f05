// Orders to take a region or a backend out of service for a time: who may give one, and until when it holds.

export { type DrainRequest, type DrainView, decideDrain, drainLimits } from "./decide-drain.ts";
export {
  type DrainOrder,
  type Drains,
  type DrainTarget,
  drainLeftMs,
  drainsAt,
  drainValue,
  nextDrainEndMs,
  parseDrain,
} from "./drain-order.ts";
