// Which control plane to connect to: the own region's, or after a time without it another region's.

import type { Instant } from "@meridian/proto/base";

export const home = 0;

export type ControlChoice = {
  /** How many control planes there are; number 0 is the own region's. */
  readonly controls: number;
  /** When the own region's last answered; the start of the program counts as an answer. */
  readonly homeAnsweredAt: Instant;
  readonly homeWaitMs: number;
  /** How many sessions were begun since the wait was over, without an answer. */
  readonly tries: number;
};

/**
 * Within the wait always the own region's; afterwards the others in order, then the own once more, and round again,
 * so that whichever comes back first is found.
 */
export function chooseControl(choice: ControlChoice, now: Instant): number {
  if (choice.controls <= 1 || now < abroadFrom(choice)) return home;
  return (choice.tries + 1) % choice.controls;
}

/** From when on another region's control plane may be used. */
export function abroadFrom(choice: Omit<ControlChoice, "tries">): Instant {
  return choice.controls <= 1
    ? Number.POSITIVE_INFINITY
    : choice.homeAnsweredAt + choice.homeWaitMs;
}
