import { expect, test } from "vitest";
import { spread } from "./spread.ts";

const cells = ["a1", "a2", "a3", "b1", "c1", "c2"];
const kindOf = (cell: string) => cell.charAt(0);

test("every kind is there before any is there twice", () => {
  const three = spread(cells, 3, kindOf);
  expect(three.map(kindOf)).toEqual(["a", "b", "c"]);
  expect(spread(cells, 4, kindOf)).toHaveLength(4);
});

test("the same cells come each time, each once, in their order", () => {
  for (const max of [1, 2, 3, 4, 5, 6, 9]) {
    const some = spread(cells, max, kindOf);
    expect(some).toEqual(spread(cells, max, kindOf));
    expect(some).toEqual(cells.filter((each) => some.includes(each)));
    expect(some).toHaveLength(Math.min(max, cells.length));
  }
});
