import fc from "fast-check";
import { expect, test } from "vitest";
import {
  balanceModels,
  RegionTable,
  type TablePool,
  type TableRegion,
  trustOf,
} from "./region-table.ts";

const places = {
  eu: { lat: 53.3, lon: -6.3 },
  us: { lat: 39, lon: -77.5 },
  ap: { lat: 19.1, lon: 72.9 },
} as const;

type Name = keyof typeof places;

function region(
  name: Name,
  pool: Partial<TablePool> = {},
  more: Partial<TableRegion> & { readonly proxies?: number } = {},
): TableRegion {
  const { proxies = 1, ...rest } = more;
  const full = { model: "m", backends: 4, available: 4, capacity: 1_000, demand: 0, ...pool };
  return {
    name,
    place: places[name],
    isDraining: false,
    ageMs: 500,
    digest: { proxies, pools: [full] },
    ...rest,
  };
}

/** The row of a region after the table has had time to come to rest. */
function settled(regions: readonly TableRegion[], home: Name, storeReachable = true) {
  const table = new RegionTable();
  table.tick(regions, storeReachable, 0);
  return cells(table, home);
}

function cells(table: RegionTable, home: Name): { readonly [region: string]: number } {
  const rows = table.outflows(home).map((each) => [each.region, each.share] as const);
  return Object.fromEntries(rows.map(([name, share]) => [name, Math.round(share * 1_000) / 1_000]));
}

test("what is beyond home's 85 % may go to the nearest with room", () => {
  const regions = [region("ap"), region("eu", { demand: 1_000 }), region("us", { demand: 800 })];
  expect(settled(regions, "eu")).toEqual({ ap: 0.1, us: 0.05 });
  expect(settled(regions, "us")).toEqual({ ap: 0, eu: 0 });
});

test("a pool whose capacity is not known neither takes nor is bound", () => {
  const regions = [
    region("eu", { demand: 2_000 }),
    region("us", { capacity: undefined }),
    region("ap"),
  ];
  expect(settled(regions, "eu")).toEqual({ ap: expect.any(Number) });
  expect(settled(regions, "us")).toEqual({});
});

test("a drained region takes nothing, and may send everything", () => {
  const drained = region("us", { demand: 500 }, { isDraining: true });
  expect(settled([region("eu", { demand: 900 }), drained], "eu")).toEqual({ us: 0 });
  expect(settled([region("eu"), drained], "us")).toEqual({ eu: 1 });
});

test("so does one whose backends are all out; one without a proxy takes nothing", () => {
  const out = region("us", { available: 0, capacity: 0, demand: 500 });
  expect(settled([region("eu", { demand: 900 }), out], "eu")).toEqual({ us: 0 });
  expect(settled([region("eu"), out], "us")).toEqual({ eu: 1 });
  const down = region("us", {}, { proxies: 0 });
  expect(settled([region("eu", { demand: 900 }), down], "eu")).toEqual({ us: 0 });
});

test("a region where a model has no backend may send its clients' demand to those who have", () => {
  const none = region("us", { backends: 0, available: 0, capacity: 0, demand: 500 });
  expect(settled([region("eu"), none], "us")).toEqual({ eu: 1 });
  expect(settled([region("eu"), none], "eu")).toEqual({});
});

test.each([
  [0, 1],
  [5_000, 1],
  [17_500, 0.5],
  [30_000, 0],
  [4_294_967_295, 0],
])("after %d ms of silence %d of a capacity is counted on", (ageMs, share) => {
  expect(trustOf(ageMs)).toBeCloseTo(share);
});

test("a silent region's capacity fades for others, not for its own clients", () => {
  const silent = (ageMs: number) => region("us", { demand: 100 }, { ageMs });
  const eu = region("eu", { demand: 1_700 });
  expect(settled([eu, silent(4_000)], "eu").us).toBeCloseTo(0.471, 2);
  expect(settled([eu, silent(17_500)], "eu").us).toBeCloseTo(0.294, 2);
  expect(settled([eu, silent(30_000)], "eu")).toEqual({ us: 0 });
  expect(settled([eu, silent(30_000)], "us")).toEqual({ eu: 0 });
});

test("without the store nobody is heard of: then the silent are unknown, not gone", () => {
  const regions = [region("eu", { demand: 1_700 }), region("us", {}, { ageMs: 40_000 })];
  expect(settled(regions, "eu", false)).toEqual({});
  const still = [region("eu", { demand: 1_700 }), region("us", {}, { ageMs: 4_000 })];
  expect(settled(still, "eu", false)).toEqual({ us: 0.5 });
});

test("a region that said nothing yet is in no row", () => {
  const unheard = { ...region("us"), digest: undefined };
  expect(settled([region("eu", { demand: 1_700 }), unheard], "eu")).toEqual({});
});

test("demand moves away by a fifth a second, and comes back by 5 % in ten", () => {
  const table = new RegionTable();
  const at = (demand: number) => [region("eu", { demand }), region("us")];
  table.tick(at(100), true, 0);
  expect(cells(table, "eu")).toEqual({ us: 0 });
  table.tick(at(1_700), true, 1_000);
  expect(cells(table, "eu")).toEqual({ us: 0.2 });
  for (let second = 2; second <= 10; second++) table.tick(at(1_700), true, second * 1_000);
  expect(cells(table, "eu")).toEqual({ us: 0.5 });
  for (let second = 11; second <= 20; second++) table.tick(at(100), true, second * 1_000);
  expect(cells(table, "eu")).toEqual({ us: 0.45 });
});

test("when home goes down everything may leave at once", () => {
  const table = new RegionTable();
  table.tick([region("eu", { demand: 500 }), region("us")], true, 0);
  table.tick([region("eu", { demand: 500 }, { isDraining: true }), region("us")], true, 1_000);
  expect(cells(table, "eu")).toEqual({ us: 1 });
});

test("two full regions whose demand sways do not throw it at each other", () => {
  const table = new RegionTable();
  const former = { eu: 0, us: 0 };
  let most = 0;
  for (let second = 0; second < 600; second++) {
    const sway = second % 2 === 0 ? 1.3 : 0.7;
    const regions = [
      region("eu", { demand: 1_200 * sway }),
      region("us", { demand: 1_200 * (2 - sway) }),
    ];
    table.tick(regions, true, second * 1_000);
    for (const home of ["eu", "us"] as const) {
      const away = table.outflows(home).reduce((sum, each) => sum + each.share, 0);
      if (second > 0) expect(Math.abs(away - former[home])).toBeLessThanOrEqual(0.2 + 1e-9);
      former[home] = away;
      most = Math.max(most, away);
    }
  }
  // The peak sends what the trough has room for, never more than its own surplus.
  expect(most).toBeLessThan(0.25);
});

test("a policy without the region ends its row and its column", () => {
  const table = new RegionTable();
  table.tick([region("eu", { demand: 1_700 }), region("us"), region("ap")], true, 0);
  table.tick([region("eu", { demand: 1_700 }), region("ap")], true, 1_000);
  expect(Object.keys(cells(table, "eu"))).toEqual(["ap"]);
  expect(table.outflows("us")).toEqual([]);
});

test("three control planes with the same digests have the same table, in whatever order they read them", () => {
  const digests = fc.array(
    fc.record({
      capacity: fc.option(fc.integer({ min: 1, max: 50_000 }), { nil: undefined }),
      demand: fc.integer({ min: 0, max: 80_000 }),
      available: fc.integer({ min: 0, max: 4 }),
    }),
    { minLength: 3, maxLength: 3 },
  );
  const orders = [
    [0, 1, 2],
    [2, 0, 1],
    [1, 2, 0],
  ];
  fc.assert(
    fc.property(fc.array(digests, { minLength: 1, maxLength: 20 }), (moments) => {
      const tables = orders.map(() => new RegionTable());
      for (const [second, moment] of moments.entries()) {
        const regions = (Object.keys(places) as Name[]).map((name, at) => region(name, moment[at]));
        for (const [at, order] of orders.entries()) {
          const seen = order.flatMap((place) => regions[place] ?? []);
          tables[at]?.tick(seen, true, second * 1_000);
        }
        for (const home of Object.keys(places)) {
          const [first, ...others] = tables.map((each) => each.outflows(home));
          for (const other of others) expect(other).toEqual(first);
        }
      }
    }),
  );
});

test("what all regions have is told without the largest, which may be the one that fails", () => {
  const regions = [
    region("eu", { capacity: 2_000, demand: 900 }),
    region("us", { demand: 200 }),
    region("ap", { demand: 100 }),
  ];
  expect(balanceModels(regions)).toEqual([
    { model: "m", demand: 1_200, capacity: 4_000, spareWithoutLargest: 800, largest: "eu" },
  ]);
  const [one] = balanceModels([region("eu", { demand: 900 }), region("us", { demand: 200 })]);
  expect(one?.spareWithoutLargest).toBe(-100);
  const [unknown] = balanceModels([region("eu"), region("us", { capacity: undefined })]);
  expect(unknown).toMatchObject({ capacity: undefined, spareWithoutLargest: undefined });
});
