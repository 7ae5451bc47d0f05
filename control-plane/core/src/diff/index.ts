// What changes from one policy to the next, in an operator's words.

export { type Change, diffPolicies } from "./diff-policies.ts";
