// The model simulator's switches and its log, as the matrix uses them.

import type { FaultRule } from "./cell.ts";

/** A request as a model server saw it. */
export type SeenCall = {
  readonly number: number;
  readonly atMs: number;
  readonly port: number;
  readonly model?: string;
  readonly tokens: number;
  readonly outcome: string;
  readonly ending: "open" | "sent" | "cut" | "cancelled";
  readonly endedAtMs?: number;
};

type Log = { readonly total: number; readonly requests: readonly SeenCall[] };

export async function addFaults(control: string, rules: readonly FaultRule[]): Promise<void> {
  const response = await fetch(`${control}/faults`, {
    method: "POST",
    body: JSON.stringify(rules),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`the simulator refused a fault: ${text}`);
}

export async function removeFaults(
  control: string,
  of: { readonly model: string } | { readonly port: number },
): Promise<void> {
  const query = "model" in of ? `model=${of.model}` : `port=${of.port}`;
  const response = await fetch(`${control}/faults?${query}`, { method: "DELETE" });
  await response.arrayBuffer();
}

/** Requests that these ports took, after the one with this number. */
export async function callsSeen(
  control: string,
  ports: readonly number[],
  after: number,
): Promise<readonly SeenCall[]> {
  const query = ports.map((port) => `port=${port}`).join("&");
  return (await logOf(`${control}/requests?after=${after}&${query}`)).requests;
}

export async function callsSoFar(control: string): Promise<number> {
  return (await logOf(`${control}/requests?after=${Number.MAX_SAFE_INTEGER}`)).total;
}

async function logOf(url: string): Promise<Log> {
  const response = await fetch(url);
  // The simulator's own answer.
  return (await response.json()) as Log;
}
