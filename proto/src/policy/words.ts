// The words that a policy may use where a field takes one of a few.

/** How a route chooses among a pool's backends. */
export const balances = ["least-outstanding", "round-robin", "weighted", "cache-aware"] as const;
export type Balance = (typeof balances)[number];

/** What may be tried when no local backend can answer. */
export const rungs = ["local-queue", "remote", "degrade"] as const;
export type Rung = (typeof rungs)[number];

/** The languages that backends speak, as the schema numbers them from 1. */
export const protocols = ["openai", "anthropic", "ollama"] as const;
export type ProtocolName = (typeof protocols)[number];

/** The languages that clients may speak in this version. */
export const clientProtocols: readonly ProtocolName[] = ["openai"];

/** Paths of requests for models, as routes match them: a client that leaves out /v1 means the same. */
export const inferencePaths = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
] as const;

/** What a backend does with a chat that ends with the assistant's words. */
export const assistantPrefixes = ["none", "append", "continue-final-message"] as const;
export type AssistantPrefix = (typeof assistantPrefixes)[number];

/** undefined when the text is not one of the words. */
export function findWord<W extends string>(words: readonly W[], text: string): W | undefined {
  return words.find((each) => each === text);
}
