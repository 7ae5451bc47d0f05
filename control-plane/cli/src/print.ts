// One answer in the form that was asked for: text for people, JSON or YAML for programs.

import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

export type Format = "text" | "json" | "yaml";

export const formats: readonly Format[] = ["text", "json", "yaml"];

/** A message with its ProtoJSON names; fields that are not set are left out. */
export async function printMessage<D extends DescMessage>(
  format: "json" | "yaml",
  schema: D,
  message: MessageShape<D>,
): Promise<string> {
  const { toJson } = await import("@bufbuild/protobuf");
  return printValue(format, toJson(schema, message));
}

export async function printValue(format: "json" | "yaml", value: unknown): Promise<string> {
  if (format === "json") return `${JSON.stringify(value, undefined, 2)}\n`;
  const { stringify } = await import("yaml");
  return stringify(value);
}
