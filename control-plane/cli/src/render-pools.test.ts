import { create } from "@bufbuild/protobuf";
import { ModelStatusSchema, PoolStatusSchema } from "@meridian/proto/gen/admin_pb";
import { expect, test } from "vitest";
import { renderPools } from "./render-pools.ts";

const pool = { region: "eu", model: "big", backends: 3, available: 2 };
const model = { model: "big", demandTokens: 3_500n, capacityTokens: 6_000n, largest: "eu" };

function lines(
  pools: Parameters<typeof create<typeof PoolStatusSchema>>[1][],
  models: Parameters<typeof create<typeof ModelStatusSchema>>[1][] = [],
): readonly string[] {
  const made = pools.map((each) => create(PoolStatusSchema, each));
  const told = models.map((each) => create(ModelStatusSchema, each));
  return renderPools(made, told).trimEnd().split("\n");
}

test("a row tells capacity, demand, and where how much of it may go", () => {
  const outflows = [
    { region: "ap", share: 0, tokens: 0 },
    { region: "us", share: 125, tokens: 210 },
  ];
  const load = { capacityTokens: 1_000, demandTokens: 1_680, pendingTokens: 40, sentAway: 31 };
  const [titles, row] = lines([{ ...pool, ...load, outflows }]);
  expect(titles).toContain("CAPACITY TOKENS/S");
  expect(row?.split(/ {2,}/)).toEqual([
    "big",
    "eu",
    "2/3",
    "1000",
    "1680",
    "40",
    "3.1 %",
    "ap nothing, us 12.5 % (210 tokens/s)",
  ]);
});

test("what is not known is said so, and is no bound", () => {
  const [, row] = lines([pool]);
  expect(row?.split(/ {2,}/).slice(3)).toEqual(["not known", "0", "0", "0 %", "not bound"]);
});

test("a model that could not bear the loss of its largest region is told; one that could, or may, is not", () => {
  expect(lines([pool], [{ ...model, spareTokens: -500n }])[2]).toBe(
    "warning  big: without eu there would be 3000 tokens/s for a demand of 3500",
  );
  expect(lines([pool], [{ ...model, spareTokens: 0n }])).toHaveLength(2);
  expect(lines([pool], [model])).toHaveLength(2);
});
