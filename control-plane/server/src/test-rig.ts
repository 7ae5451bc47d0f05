// For tests: the real program on the embedded store, with real certificates, on ports of its own.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "@grpc/grpc-js";
import { entries, freePorts, Program, runCommand } from "@meridian/harness";
import { AdminService, type ApplyResponse } from "@meridian/proto/gen/admin_pb";
import { callUnary, connect } from "./test-calls.ts";

export const testRegions = ["eu-west", "us-east", "ap-south"] as const;

/** A policy with one backend in each region; `weight` makes it differ. Capacity: 1,000 tokens a second each. */
export function testPolicy(weight = 1) {
  return {
    regions: testRegions.map((name) => ({ name })),
    backends: testRegions.map((region) => ({
      name: `${region}-a`,
      region,
      url: "http://127.0.0.1:9",
      serves: [{ model: "llama" }],
      weight,
      capacity: { tokensPerMinute: 60_000 },
    })),
    models: [{ name: "llama" }],
  };
}

export type RigOptions = {
  /** Default eu-west. */
  readonly region?: string;
  /** With the certificates of another rig, which then must outlive this one. */
  readonly certificatesOf?: Rig;
  /** Default: an embedded store of its own, serving all regions. */
  readonly store?: string;
};

export class Rig {
  readonly folder: string;
  readonly address: string;
  readonly opsUrl: string;
  readonly program: Program;
  readonly #pki: string;
  readonly #clients: Client[] = [];
  #operator: Client | undefined;

  private constructor(options: RigOptions, port: number, opsPort: number) {
    const { region = "eu-west", certificatesOf, store } = options;
    this.folder = mkdtempSync(join(tmpdir(), "meridian-control-"));
    this.#pki = certificatesOf === undefined ? join(this.folder, "pki") : certificatesOf.#pki;
    this.address = `127.0.0.1:${port}`;
    this.opsUrl = `http://127.0.0.1:${opsPort}`;
    const serves = store === undefined ? testRegions.join(",") : region;
    this.program = new Program({
      name: `control-${region}`,
      entry: entries.controlPlane,
      environment: {
        MERIDIAN_REGION: region,
        MERIDIAN_LISTEN: this.address,
        MERIDIAN_OPS_LISTEN: `127.0.0.1:${opsPort}`,
        MERIDIAN_STORE: store ?? `embedded:${join(this.folder, "store")}`,
        MERIDIAN_SERVES_REGIONS: serves,
        MERIDIAN_TLS_DIR: this.tls(`control-${region}`),
        MERIDIAN_LOG_LEVEL: "debug",
      },
      readyUrl: `${this.opsUrl}/readyz`,
    });
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    const [port = 0, opsPort = 0] = await freePorts(2);
    const rig = new Rig(options, port, opsPort);
    const regions = testRegions.flatMap((region) => ["--region", region]);
    const made = await runCommand({
      entry: entries.commandLine,
      args: ["pki", "init", "--out", rig.#pki, ...regions],
    });
    if (made.code !== 0) throw new Error(`no certificates: ${made.stderr}`);
    await rig.program.start();
    return rig;
  }

  /** Folder of a part's certificate: operator, proxy-eu-west, … */
  tls(part: string): string {
    return join(this.#pki, part);
  }

  /** A connection of its own, closed with the rig. */
  connect(part: string): Client {
    const client = connect(this.address, this.tls(part));
    this.#clients.push(client);
    return client;
  }

  /** The operator's connection. */
  get operator(): Client {
    this.#operator ??= this.connect("operator");
    return this.#operator;
  }

  apply(
    policy: unknown,
    more: {
      readonly expected?: { epoch: bigint; sequence: bigint };
      readonly reason?: string;
    } = {},
  ): Promise<ApplyResponse> {
    const document =
      policy instanceof Uint8Array ? policy : new TextEncoder().encode(JSON.stringify(policy));
    return callUnary(this.operator, AdminService.method.apply, { document, ...more });
  }

  async stop(): Promise<void> {
    for (const each of this.#clients) each.close();
    await this.program.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
