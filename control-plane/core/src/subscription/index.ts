// How one proxy's policy stream is served, when a change is published, and how many full snapshots go out at once.

export { type Debounce, debounceDueAt, debounceLimits, noteChange, quiet } from "./debounce.ts";
export { createPacing, type Pacing } from "./pacing.ts";
export {
  openSubscription,
  type SnapshotRef,
  type StepContext,
  type Stepped,
  type Subscription,
  type SubscriptionCommand,
  type SubscriptionEvent,
  stepSubscription,
  subscriptionDueAt,
  subscriptionLimits,
} from "./subscription.ts";
