import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, describe } from "vitest";
import { openEmbeddedStore } from "./embedded-store.ts";
import { closedContract, storeContract } from "./store.contract.ts";
import type { Store } from "./store.ts";

const folders: string[] = [];
let skippedMs = 0;
let store: Store;

function openNew(): Store {
  const folder = mkdtempSync(join(tmpdir(), "meridian-contract-"));
  folders.push(folder);
  const opened = openEmbeddedStore({ folder, now: () => performance.now() + skippedMs });
  if (opened.kind === "err") throw new Error(opened.error.message);
  return opened.value;
}

beforeAll(() => {
  store = openNew();
});

afterAll(async () => {
  await store.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe("the embedded store", () => {
  storeContract(() => ({
    store,
    // As if the process had been stopped for a minute.
    expireLease: async () => {
      skippedMs += 60_000;
    },
  }));
  closedContract(async () => openNew());
});
