// Where the repository's programs are.

import { join } from "node:path";

/** The repository's root folder. */
export const repositoryRoot = join(import.meta.dirname, "..", "..", "..", "..");

/** Programs by the path of their entry, from the root. */
export const entries = {
  controlPlane: "control-plane/server/src/main.ts",
  proxy: "data-plane/proxy/src/main.ts",
  modelSimulator: "e2e/harness/src/model-simulator/main.ts",
  commandLine: "control-plane/cli/src/main.ts",
} as const;

/** What every program of ours is started with: this process's environment, and a cache of compiled sources. */
export function programEnvironment(added: { readonly [name: string]: string } = {}) {
  const cache = join(repositoryRoot, "node_modules", ".cache", "compile");
  return { NODE_COMPILE_CACHE: cache, ...process.env, ...added };
}
