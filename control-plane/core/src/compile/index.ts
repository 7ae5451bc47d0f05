// A policy compiled: one snapshot per region.

export { compile } from "./compile.ts";
