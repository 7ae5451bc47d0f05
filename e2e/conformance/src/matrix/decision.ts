// The proxy's own account of a request: read by the id that its answer carried.

import type { Asked } from "../question.ts";

export type Decision = {
  readonly ending: string;
  /** How each call ended, or how it failed. */
  readonly outcomes: readonly string[];
  readonly stream: boolean;
  readonly usage: { readonly outputTokens: number; readonly exact: boolean } | undefined;
};

/** undefined: the answer carried no id, or the proxy keeps no record under it. */
export async function decisionOf(ops: string, asked: Asked): Promise<Decision | undefined> {
  const id = asked.headers.get("x-meridian-decision");
  if (id === null) return undefined;
  const response = await fetch(`${ops}/decisions/${id}`);
  const text = await response.text();
  if (response.status !== 200) return undefined;
  // An ExplainResponse: with the proxy's own id there is one record.
  const { records } = JSON.parse(text) as { readonly records: readonly unknown[] };
  return parse(records[0]);
}

type Json = {
  readonly ending?: string;
  readonly stream?: boolean;
  readonly attempts?: readonly {
    readonly outcome?: string;
    readonly failure?: { readonly kind?: string };
  }[];
  readonly usage?: { readonly outputTokens?: number; readonly exact?: boolean };
};

function parse(value: unknown): Decision {
  // The schema is DecisionRecord's, in ProtoJSON: what is zero or false is left out.
  const { ending = "", stream = false, attempts = [], usage } = value as Json;
  return {
    ending,
    outcomes: attempts.map((each) => each.failure?.kind ?? each.outcome ?? ""),
    stream,
    usage:
      usage === undefined
        ? undefined
        : { outputTokens: usage.outputTokens ?? 0, exact: usage.exact ?? false },
  };
}
