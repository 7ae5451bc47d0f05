// The options that every command to a control plane has.

import { type Command, InvalidArgumentError, Option } from "commander";
import { type Format, formats } from "./print.ts";

/** Where `npm start` listens, and where it puts what an operator needs. */
export const defaults = { server: "127.0.0.1:8831", tlsDir: ".meridian/pki/operator" } as const;

export type SharedFlags = {
  readonly server: string;
  readonly tlsDir: string;
  readonly timeout: number;
  readonly output: Format;
};

export type ConnectionOptions = {
  /** host:port, tried in turn. */
  readonly servers: readonly string[];
  readonly tlsDir: string;
  /** For one call to one server. */
  readonly timeoutMs: number;
};

/** Adds the options; a command's own come before. */
export function withSharedFlags(command: Command): Command {
  return command
    .addOption(
      new Option("--server <host:port,…>", "control planes, tried in turn")
        .env("MERIDIAN_SERVER")
        .default(defaults.server),
    )
    .addOption(
      new Option("--tls-dir <dir>", "folder with ca.pem, cert.pem and key.pem")
        .env("MERIDIAN_TLS_DIR")
        .default(defaults.tlsDir),
    )
    .addOption(
      new Option("--timeout <seconds>", "how long one control plane may take")
        .default(20)
        .argParser(parseSeconds),
    )
    .addOption(
      new Option("-o, --output <format>", "text for people, json or yaml for programs")
        .choices([...formats])
        .default("text"),
    );
}

export function connectionOf(flags: SharedFlags): ConnectionOptions {
  const servers = flags.server.split(",").map((each) => each.trim());
  return {
    servers: servers.filter((each) => each !== ""),
    tlsDir: flags.tlsDir,
    timeoutMs: flags.timeout * 1_000,
  };
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3_600) return seconds;
  throw new InvalidArgumentError("a number of seconds up to 3600 is needed");
}
