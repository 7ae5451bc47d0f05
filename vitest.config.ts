// Tests stand beside the code. Files run in parallel; what starts real programs has longer limits of its own.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "{proto,control-plane,data-plane,deploy}/**/src/**/*.test.ts",
            "e2e/{harness,tidy,bench,conformance,sim}/src/**/*.test.ts",
          ],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: [
            "e2e/tests/src/**/*.test.ts",
            "{control-plane,data-plane,e2e/conformance}/**/src/**/*.e2e.ts",
          ],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
