import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts } from "../etcd/free-ports.ts";
import { type Inspector, inspectorOption, openInspector } from "./inspector.ts";
import { Program } from "./program.ts";
import { entries } from "./root.ts";

let program: Program;
let inspector: Inspector;

beforeAll(async () => {
  program = await simulator({ NODE_OPTIONS: inspectorOption });
  inspector = await openInspector(program);
});

afterAll(async () => {
  inspector.close();
  await program.stop();
});

test("an expression's value comes back, a promise's too", async () => {
  expect(await inspector.evaluate("process.pid")).toBe(program.pid);
  expect(await inspector.evaluate("Promise.resolve([1, 'two'])")).toEqual([1, "two"]);
});

test("an expression that throws is told with its reason", async () => {
  await expect(inspector.evaluate("nothing.there")).rejects.toThrow(/nothing is not defined/);
});

test("garbage is gone from the heap after a collection, and what is held is not", async () => {
  const bytes = 30_000_000;
  await inspector.collectGarbage();
  const before = await inspector.memory();
  await inspector.evaluate(`globalThis.held = new Array(${bytes / 8}).fill(0); undefined`);
  await inspector.collectGarbage();
  const holding = await inspector.memory();
  expect(holding.heapUsed - before.heapUsed).toBeGreaterThan(bytes * 0.9);
  await inspector.evaluate("delete globalThis.held; undefined");
  await inspector.collectGarbage();
  const after = await inspector.memory();
  expect(after.heapUsed - before.heapUsed).toBeLessThan(bytes * 0.1);
});

test("objects of a class are counted while they are reachable, and counting does not hold them", async () => {
  await inspector.evaluate("globalThis.Kept = class {}; globalThis.kept = []; undefined");
  expect(await inspector.countObjects("Kept")).toBe(0);
  await inspector.evaluate("for (let i = 0; i < 7; i++) kept.push(new Kept()); undefined");
  expect(await inspector.countObjects("Kept")).toBe(7);
  await inspector.evaluate("kept[3].isOdd = true; undefined");
  expect(await inspector.countObjects("Kept", "(each) => each.isOdd")).toBe(1);
  await inspector.evaluate("kept.length = 2; undefined");
  expect(await inspector.countObjects("Kept")).toBe(2);
});

test("a program without an inspector is refused, and so is what was closed", async () => {
  const plain = await simulator({});
  await expect(openInspector(plain)).rejects.toThrow(/listens for no inspector/);
  await plain.stop();
  const other = await openInspector(program);
  const asked = other.evaluate("new Promise(() => {})");
  other.close();
  await expect(asked).rejects.toThrow(/closed/);
});

async function simulator(environment: { readonly [name: string]: string }): Promise<Program> {
  const [port] = await freePorts(1);
  const started = new Program({
    name: "simulator",
    entry: entries.modelSimulator,
    args: ["--port", String(port), "--model", "tiny:1:1"],
    environment,
    readyUrl: `http://127.0.0.1:${port}/health`,
  });
  await started.start();
  return started;
}
