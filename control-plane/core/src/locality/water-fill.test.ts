import fc from "fast-check";
import { expect, test } from "vitest";
import { type FillPool, type FillRow, fillPools, fullShare } from "./water-fill.ts";

const dublin = { lat: 53.3, lon: -6.3 };
const virginia = { lat: 39, lon: -77.5 };
const mumbai = { lat: 19.1, lon: 72.9 };

function pool(region: string, more: Partial<FillPool>): FillPool {
  const capacity = "capacity" in more ? more.capacity : 1_000;
  return { region, place: undefined, capacity, offered: capacity ?? 0, demand: 0, ...more };
}

/** `eu: 85, us 85, ap 15` */
function told(pools: readonly FillPool[], region: string): string {
  const row = fillPools(pools).get(region);
  if (row === undefined) return "no row";
  const away = [...row.away].map(([name, tokens]) => `${name} ${Math.round(tokens)}`);
  return [`home ${Math.round(row.home)}`, ...away].join(", ");
}

test("a region that is not full keeps its own", () => {
  expect(told([pool("eu", { demand: 850 }), pool("us", {})], "eu")).toBe("home 850, us 0");
});

test("what is beyond 85 % of home's capacity goes to the nearest region with room, then to the next", () => {
  const pools = [
    pool("eu", { place: dublin, demand: 2_100 }),
    pool("us", { place: virginia, demand: 100 }),
    pool("ap", { place: mumbai, demand: 0 }),
  ];
  expect(told(pools, "eu")).toBe("home 850, ap 500, us 750");
  expect(told(pools, "us")).toBe("home 100, ap 0, eu 0");
});

test("a region whose place nobody tells is asked last", () => {
  const pools = [
    pool("eu", { place: dublin, demand: 1_000 }),
    pool("ap", {}),
    pool("us", { place: virginia }),
  ];
  expect(told(pools, "eu")).toBe("home 850, ap 0, us 150");
});

test("a region serves its own clients first, whoever else is near", () => {
  const pools = [
    pool("eu", { place: dublin, demand: 3_000 }),
    pool("us", { place: virginia, demand: 850 }),
    pool("ap", { place: mumbai, demand: 800 }),
  ];
  const rows = fillPools(pools);
  expect(rows.get("us")).toMatchObject({ home: expect.closeTo(850) });
  // Nobody has room for the rest: it is spread so that all are equally overfull.
  const level = (850 + 3_000 + 800) / 3_000;
  for (const name of ["eu", "us", "ap"]) expect(served(rows, name)).toBeCloseTo(level * 1_000);
});

test("two full regions do not exchange their demand", () => {
  const pools = [pool("eu", { demand: 1_500 }), pool("us", { demand: 1_500 })];
  expect(told(pools, "eu")).toBe("home 1500, us 0");
  expect(told(pools, "us")).toBe("home 1500, eu 0");
});

test("a region that serves nobody sends all that others have room for, and the rest too", () => {
  const down = { capacity: 0, demand: 500 };
  expect(told([pool("eu", down), pool("us", {})], "eu")).toBe("home 0, us 500");
  expect(told([pool("eu", { ...down, demand: 2_000 }), pool("us", {})], "eu")).toBe(
    "home 0, us 2000",
  );
  expect(told([pool("eu", down), pool("us", { capacity: 0 })], "eu")).toBe("home 500, us 0");
});

test("a region whose capacity is not known neither takes nor is bound", () => {
  const pools = [pool("eu", { demand: 2_000 }), pool("us", { capacity: undefined, demand: 10 })];
  expect(told(pools, "us")).toBe("no row");
  expect(told(pools, "eu")).toBe("home 2000");
});

test("others may count on less than what a silent region has for its own", () => {
  const pools = [
    pool("eu", { demand: 2_000 }),
    pool("us", { offered: 500, demand: 200 }),
    pool("ap", { offered: 0, demand: 900 }),
  ];
  const rows = fillPools(pools);
  expect(rows.get("ap")?.home).toBeGreaterThanOrEqual(850);
  expect(rows.get("eu")?.away.get("ap")).toBe(0);
  expect(rows.get("eu")?.away.get("us")).toBeGreaterThanOrEqual(225);
});

/** What all regions together bring to one. */
function served(rows: ReadonlyMap<string, FillRow>, region: string): number {
  const others = [...rows.values()].reduce((sum, row) => sum + (row.away.get(region) ?? 0), 0);
  return others + (rows.get(region)?.home ?? 0);
}

const place = fc.record({
  lat: fc.integer({ min: -80, max: 80 }),
  lon: fc.integer({ min: -179, max: 179 }),
});

const anyPools: fc.Arbitrary<readonly FillPool[]> = fc
  .array(
    fc.record({
      place: fc.option(place, { nil: undefined }),
      capacity: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined, freq: 5 }),
      silence: fc.constantFrom(0, 0, 0.3, 1),
      demand: fc.integer({ min: 0, max: 200_000 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((all) =>
    all.map(({ place, capacity, silence, demand }, at) => ({
      region: `r${at}`,
      place,
      capacity,
      offered: (capacity ?? 0) * (1 - silence),
      demand,
    })),
  );

test("a region's row adds up to its demand, and nothing in it is less than nothing", () => {
  fc.assert(
    fc.property(anyPools, (pools) => {
      const rows = fillPools(pools);
      for (const { region, demand, capacity } of pools) {
        const row = rows.get(region);
        expect(row === undefined).toBe(capacity === undefined);
        if (row === undefined) continue;
        const away = [...row.away.values()];
        expect(row.home + away.reduce((sum, each) => sum + each, 0)).toBeCloseTo(demand, 4);
        for (const each of [row.home, ...away]) expect(each).toBeGreaterThanOrEqual(0);
        expect(row.away.has(region)).toBe(false);
      }
    }),
  );
});

test("while there is room in all, no region is filled by others beyond 85 % of what it offers", () => {
  fc.assert(
    fc.property(anyPools, (pools) => {
      const known = pools.filter((each) => each.capacity !== undefined);
      const demand = known.reduce((sum, each) => sum + each.demand, 0);
      const room = known.reduce((sum, each) => sum + fullShare * each.offered, 0);
      fc.pre(demand <= room);
      const rows = fillPools(pools);
      for (const { region, offered } of known) {
        const own = rows.get(region)?.home ?? 0;
        const others = served(rows, region) - own;
        if (others > 1e-6) expect(own + others).toBeLessThanOrEqual(fullShare * offered + 1e-6);
      }
    }),
  );
});

test("when there is not, no region is fuller than another one that takes of others", () => {
  fc.assert(
    fc.property(anyPools, (pools) => {
      const known = pools.filter(
        (each) => (each.capacity ?? 0) > 0 && each.offered === each.capacity,
      );
      const demand = known.reduce((sum, each) => sum + each.demand, 0);
      const room = known.reduce((sum, each) => sum + fullShare * each.offered, 0);
      fc.pre(demand > room && known.length > 1);
      const rows = fillPools(known);
      const levels = known.map((each) => served(rows, each.region) / each.offered);
      expect(Math.max(...levels) - Math.min(...levels)).toBeLessThan(1e-6);
    }),
  );
});

test("no demand passes its home's free room, and no two regions exchange theirs", () => {
  fc.assert(
    fc.property(anyPools, (pools) => {
      const rows = fillPools(pools);
      for (const { region, capacity, demand } of pools) {
        const row = rows.get(region);
        if (row === undefined || capacity === undefined) continue;
        expect(row.home).toBeGreaterThanOrEqual(Math.min(demand, fullShare * capacity) - 1e-6);
        for (const [to, tokens] of row.away) {
          const back = rows.get(to)?.away.get(region) ?? 0;
          expect(Math.min(tokens, back)).toBeLessThan(1e-6);
        }
      }
    }),
  );
});

test("whatever the order in which regions are told, the table is the same to the last bit", () => {
  fc.assert(
    fc.property(
      anyPools.chain((pools) =>
        fc.tuple(fc.constant(pools), fc.shuffledSubarray([...pools], { minLength: pools.length })),
      ),
      ([pools, shuffled]) => {
        for (const { region } of pools) {
          const row = fillPools(pools).get(region);
          const other = fillPools(shuffled).get(region);
          expect(other?.home).toBe(row?.home);
          expect([...(other?.away ?? [])]).toEqual([...(row?.away ?? [])]);
        }
      },
    ),
  );
});
