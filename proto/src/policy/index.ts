// The policy document: from unknown JSON to a complete, checked Policy.

export { isReadableHeader } from "./check-match.ts";
export { checkPolicy } from "./check-policy.ts";
export { checkDocumentSize, documentBytesMax, parsePolicy } from "./parse-policy.ts";
export { matchesPattern } from "./pattern.ts";
