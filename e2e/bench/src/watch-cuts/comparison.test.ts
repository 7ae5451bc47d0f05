import { expect, test } from "vitest";
import { compare } from "./comparison.ts";

const written = ["2 put /a", "3 put /a", "3 put /b", "4 delete /a"];
const clean = { lost: [], lostByServer: [], repeated: [], invented: [], misplaced: [] };

test("who saw everything once and in order lost nothing", () => {
  expect(compare(written, written, written)).toEqual(clean);
});

test("an event that the uncut watcher saw and the cut one did not is lost", () => {
  const seen = written.filter((each) => each !== "3 put /b");
  expect(compare(written, written, seen)).toEqual({ ...clean, lost: ["3 put /b"] });
});

test("an event that was acknowledged and neither saw is the server's loss", () => {
  const seen = written.slice(0, 3);
  expect(compare(written, seen, seen)).toEqual({ ...clean, lostByServer: ["4 delete /a"] });
});

test("an event that only the uncut watcher saw, whose write was never acknowledged, counts", () => {
  expect(compare(written.slice(0, 3), written, written.slice(0, 3)).lost).toEqual(["4 delete /a"]);
});

test("repeats, inventions and events out of order are told apart", () => {
  const seen = ["2 put /a", "4 delete /a", "3 put /a", "3 put /b", "3 put /b", "9 put /x"];
  expect(compare(written, written, seen)).toEqual({
    ...clean,
    repeated: ["3 put /b"],
    invented: ["9 put /x"],
    misplaced: ["3 put /a"],
  });
});
