import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEmbeddedStore } from "./embedded-store.ts";
import type { Store } from "./store.ts";

let folder: string;
const open: Store[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-store-"));
});

afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function opened(options: { readonly historyRevisions?: number } = {}): Store {
  const result = openEmbeddedStore({ folder, ...options });
  if (result.kind === "err") throw new Error(result.error.message);
  open.push(result.value);
  return result.value;
}

async function put(store: Store, key: string, text: string): Promise<void> {
  const value = Buffer.from(text);
  const done = await store.commit({ compare: [], operations: [{ kind: "put", key, value }] });
  expect(done.kind).toBe("ok");
}

test("a folder that is open is refused with its owner's process id", () => {
  opened();
  const second = openEmbeddedStore({ folder });
  expect(second).toMatchObject({ kind: "err", error: { code: "store_in_use" } });
  if (second.kind === "err") expect(second.error.hint).toContain(`process ${process.pid}`);
});

test("after a close the folder opens again with everything in it", async () => {
  const store = opened();
  await put(store, "/a", "1");
  await store.close();
  const listing = await opened().list("");
  expect(listing).toMatchObject({ kind: "ok", value: { revision: 2, entries: [{ key: "/a" }] } });
});

test("what was committed survives kill -9, and the dead process's lock does not block", async () => {
  const module = JSON.stringify(new URL("./embedded-store.ts", import.meta.url).href);
  const program = `
    import { openEmbeddedStore } from ${module};
    const store = openEmbeddedStore({ folder: process.argv[1] }).value;
    for (let index = 0; ; index++) {
      const operations = [{ kind: "put", key: "/n", value: Buffer.from(String(index)) }];
      await store.commit({ compare: [], operations });
      process.stdout.write(index + "\\n");
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, "--", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said.split("\n").length > 50) break;
  }
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
  const told = said.split("\n").slice(0, -1).map(Number).at(-1) ?? Number.NaN;
  const entry = await opened().get("/n");
  const kept = entry.kind === "ok" ? Number(Buffer.from(entry.value?.value ?? []).toString()) : -1;
  expect(kept).toBeGreaterThanOrEqual(told);
});

test("keys of a lease do not outlive the process that held it", async () => {
  const store = opened();
  const lease = await store.grantLease(60_000);
  if (lease.kind === "err") throw new Error(lease.error.message);
  const operation = { kind: "put", key: "/cp/a", value: Buffer.from("x"), lease: lease.value.id };
  await store.commit({ compare: [], operations: [{ ...operation, kind: "put" }] });
  await store.close();
  expect(await opened().get("/cp/a")).toEqual({ kind: "ok", value: undefined });
});

test("history is bounded: a watch from before it is told to list again", async () => {
  const store = opened({ historyRevisions: 10 });
  for (let index = 0; index < 30; index++) await put(store, "/a", String(index));
  const notice = await new Promise((resolve) => {
    store.watch({ prefix: "", from: 2, notify: resolve, signal: new AbortController().signal });
  });
  expect(notice).toMatchObject({ kind: "compacted" });
});
