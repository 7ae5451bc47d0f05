import { parsePolicy } from "@meridian/proto/policy";
import { sampleDocument, samplePolicy } from "@meridian/proto/policy-sample";
import { expect, test } from "vitest";
import { diffPolicies } from "./diff-policies.ts";

type Document = ReturnType<typeof sampleDocument>;

/** `kind resource: detail` of what a change to the sample changes. */
function changesBy(change: (document: Document) => object): readonly string[] {
  const parsed = parsePolicy(change(sampleDocument()));
  if (parsed.kind === "err") return parsed.error.map((each) => each.message);
  return diffPolicies(samplePolicy(), parsed.value).map(
    ({ kind, resource, detail }) => `${kind} ${resource}: ${detail}`,
  );
}

const first = <T extends object>(list: readonly T[], more: object): T[] =>
  list.map((each, place) => (place === 0 ? { ...each, ...more } : each));

test("a policy and itself have no difference", () => {
  expect(diffPolicies(samplePolicy(), samplePolicy())).toEqual([]);
});

test("without a former policy everything is added", () => {
  const changes = diffPolicies(undefined, samplePolicy());
  expect(changes.map((each) => each.kind)).toEqual(new Array(12).fill("added"));
  expect(changes.map((each) => each.resource)).toContain("backend/eu-spare");
  expect(changes.at(-2)?.detail).toBe("keys sha256 cccccccccccc…");
});

test.each<[string, (document: Document) => object, readonly string[]]>([
  [
    "a field",
    (was) => ({ ...was, backends: first(was.backends, { weight: 1 }) }),
    ["changed backend/us-a: weight 2.5 → 1"],
  ],
  [
    "several fields of one resource, some inside others",
    (was) => ({
      ...was,
      routes: first(was.routes, { retry: { attempts: 2 }, timeouts: { connectMs: 500 } }),
    }),
    [
      "changed route/acme: timeouts.connectMs 1000 → 500; timeouts.firstTokenMs 20000 → not set; " +
        "timeouts.firstTokenMsPer1kInput 250 → not set; timeouts.betweenTokensMs 15000 → not set; " +
        "timeouts.totalMs 600000 → not set; timeouts.headersMs 10000 → not set; timeouts.slowMs 2500 → not set; retry.attempts 3 → 2; retry.budgetPercent 10 → not set",
    ],
  ],
  [
    "how sure verdicts must be",
    (was) => ({ ...was, health: { falseAlarmsPerMonth: 2 } }),
    ["changed health/default: falseAlarmsPerMonth 0.5 → 2"],
  ],
  [
    "entries of a list, by what they are known by",
    (was) => ({
      ...was,
      routes: first(was.routes, {
        targets: [
          { model: "llama-70b", weight: 90 },
          { model: "llama-8b", weight: 10 },
        ],
        fallback: ["remote"],
      }),
    }),
    [
      "changed route/acme: targets llama-70b.weight 95 → 90; targets llama-8b.weight not set → 10; " +
        "fallback − local-queue; fallback − degrade",
    ],
  ],
  [
    "what a route asks of requests, by name and value of a header",
    (was) => ({
      ...was,
      routes: first(was.routes, {
        match: {
          models: ["llama-*"],
          tenants: ["acme"],
          headers: [
            { name: "X-Team", value: "blue-*" },
            { name: "X-Team", value: "*-2" },
          ],
          protocols: ["openai", "anthropic"],
          paths: ["/v1/embeddings"],
        },
      }),
    }),
    [
      "changed route/acme: match.headers + X-Team: *-2; match.protocols + anthropic; " +
        "match.paths + /v1/embeddings; match.paths − /v1/*",
    ],
  ],
  [
    "shadows, sessions and where metrics are",
    (was) => ({
      ...was,
      backends: first(was.backends, { metricsPath: "none" }),
      routes: [
        { ...was.routes[0], affinity: { header: "x-chat" } },
        { ...was.routes[1], shadow: { model: "llama-70b", percent: 6 } },
      ],
    }),
    [
      "changed backend/us-a: metricsPath /engine/metrics → none",
      "changed route/acme: affinity.header x-session → x-chat",
      "changed route/all: shadow.model llama-8b → llama-70b; shadow.percent 5 → 6; " +
        "shadow.concurrency 4 → not set",
    ],
  ],
  [
    "the order of a list",
    (was) => ({ ...was, models: first(was.models, { aliases: ["meta/llama-3.3", "default"] }) }),
    ["changed model/llama-70b: aliases order meta/llama-3.3, default"],
  ],
  [
    "a resource that is gone and one that is new",
    (was) => ({
      ...was,
      backends: [
        ...was.backends.slice(0, 2),
        { name: "eu-b", region: "eu-west", url: "http://b", serves: [{ model: "llama-8b" }] },
      ],
    }),
    [
      "added backend/eu-b: region eu-west; url http://b; serves llama-8b",
      "removed backend/eu-spare: region eu-west; url http://[2001:db8::7]:8000; serves llama-8b; weight 0; probe {canary {input The sky is blue.}}",
    ],
  ],
  [
    "the order of routes, which is meaning",
    (was) => ({ ...was, routes: was.routes.toReversed() }),
    ["changed routes: order from place 1: acme, all → all, acme"],
  ],
  ["the order of anything else", (was) => ({ ...was, backends: was.backends.toReversed() }), []],
])("%s is told in one line per resource", (_, change, expected) => {
  expect(changesBy(change)).toEqual(expected);
});

test("a line stays readable, whatever has changed", () => {
  const [line] = changesBy((was) => ({
    ...was,
    models: first(was.models, {
      aliases: Array.from({ length: 300 }, (_, at) => `${"long".repeat(25)}${at}`),
    }),
  }));
  expect(line?.length).toBeLessThan(3_000);
  expect(line).toContain("more");
});
