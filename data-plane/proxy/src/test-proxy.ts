// For tests: the proxy as a process, on ports of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, vi } from "vitest";
import type { TlsFiles } from "./tls.ts";

const entry = new URL("main.ts", import.meta.url).pathname;
export const deadline = { timeout: 15_000, interval: 10 };

/** A folder that lives as long as the test file. */
export function useFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-proxy-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function writeTls(folder: string, files: TlsFiles): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "ca.pem"), files.ca);
  writeFileSync(join(folder, "cert.pem"), files.cert);
  writeFileSync(join(folder, "key.pem"), files.key);
  return folder;
}

export type ProxySettings = {
  readonly region?: string;
  readonly dataDir: string;
  readonly tlsDir: string;
  readonly controls?: readonly string[];
  readonly more?: { readonly [name: string]: string };
};

type LogLine = { readonly [field: string]: unknown; readonly msg: string };

export class TestProxy {
  readonly lines: LogLine[] = [];
  /** What was written that is no log line. */
  plain = "";
  readonly startedAt = performance.now();
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(settings: ProxySettings) {
    const { region = "eu", dataDir, tlsDir, controls = [], more = {} } = settings;
    this.child = spawn(process.execPath, [entry], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: {
        // Compiled sources are kept between starts, as the deployment does.
        NODE_COMPILE_CACHE: join(tmpdir(), "meridian-compile-cache"),
        MERIDIAN_REGION: region,
        MERIDIAN_LISTEN: "127.0.0.1:0",
        MERIDIAN_PEER_LISTEN: "127.0.0.1:0",
        MERIDIAN_OPS_LISTEN: "127.0.0.1:0",
        MERIDIAN_DATA_DIR: dataDir,
        MERIDIAN_TLS_DIR: tlsDir,
        MERIDIAN_CONTROL: controls.join(","),
        // Many proxies share a test's machine.
        MERIDIAN_THREADS: "1",
        ...more,
      },
    });
    this.ended = once(this.child, "exit").then(([code]) => code);
    let rest = "";
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#note(line);
    });
  }

  /** Resolves when all three ports are open. */
  async listening(): Promise<this> {
    await this.logged("listening");
    return this;
  }

  async ready(): Promise<this> {
    await this.listening();
    await vi.waitFor(async () => {
      if ((await this.ops("/readyz")).status !== 200) throw new Error(`not ready: ${this.plain}`);
    }, deadline);
    return this;
  }

  logged(message: string): Promise<LogLine> {
    return vi.waitFor(() => {
      const found = this.lines.find((each) => each.msg === message);
      if (found === undefined) throw new Error(`no "${message}" in ${JSON.stringify(this.lines)}`);
      return found;
    }, deadline);
  }

  address(of: "clients" | "peers" | "ops"): string {
    return String(this.lines.find((each) => each.msg === "listening")?.[of]);
  }

  async ops(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://${this.address("ops")}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    this.child.kill(signal);
    return this.ended;
  }

  #note(line: string): void {
    try {
      // Pino's lines.
      this.lines.push(JSON.parse(line) as LogLine);
    } catch {
      this.plain += `${line}\n`;
    }
  }
}
