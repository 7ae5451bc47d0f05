// What routes can tell of a request's headers, as a short text: of the values that clients write there is no end, of the
// answers to the policy's questions there are few. The router remembers by these.

import { matchesPattern } from "@meridian/proto/policy";
import type { RouteView } from "@meridian/proto/snapshot";

/** Headers of a request by their lower-case names; of those that routes read. */
export type RouteHeaders = { readonly [name: string]: string };

export type HeaderMatches = RouteView["match"]["headers"];

type Question = {
  readonly name: string;
  /** Values that a route asks for as they are, each with its number. */
  readonly exact: ReadonlyMap<string, number>;
  readonly patterns: readonly string[];
};

/** The questions of one policy. */
export class HeaderClasses {
  readonly #questions: readonly Question[];

  constructor(matches: HeaderMatches) {
    const names = [...new Set(matches.map((each) => each.name))];
    this.#questions = names.map((name) => {
      const ofName = matches.filter((each) => each.name === name);
      const all = [...new Set(ofName.map((each) => each.pattern))];
      const texts = all.filter((each) => !each.includes("*"));
      const exact = new Map(texts.map((each, place) => [each, place]));
      return { name, exact, patterns: all.filter((each) => each.includes("*")) };
    });
  }

  /** Equal for two requests: no route of the policy tells them apart by their headers. "" when none asks for any. */
  classOf(headers: RouteHeaders): string {
    let text = "";
    for (const { exact, name, patterns } of this.#questions) {
      const value = headerOf(headers, name);
      text += value === undefined ? ";" : `;${exact.get(value) ?? "x"}${fits(patterns, value)}`;
    }
    return text;
  }
}

/** Clients name headers as they like, policies too: what every object inherits is none of them. */
export function headerOf(headers: RouteHeaders, name: string): string | undefined {
  return Object.hasOwn(headers, name) ? headers[name] : undefined;
}

/** A character for each pattern. */
function fits(patterns: readonly string[], value: string): string {
  let text = "";
  for (const pattern of patterns) text += matchesPattern(pattern, value) ? "+" : "-";
  return text;
}

/** A header that is not there matches nothing, not even `*`. */
export function matchesHeaders(matches: HeaderMatches, headers: RouteHeaders): boolean {
  return matches.every(({ name, pattern }) => {
    const value = headerOf(headers, name);
    return value !== undefined && matchesPattern(pattern, value);
  });
}
