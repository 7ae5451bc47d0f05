// The program `etcd`, and its version: flags differ between versions.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ensureProgram } from "../process/debian-program.ts";

export type EtcdProgram = {
  readonly path: string;
  /** For instance [3, 4, 23]. */
  readonly version: readonly [number, number, number];
};

/** Rejects with what to do when there is no etcd and none can be installed. `say` hears of an installation. */
export async function findEtcd(say: (line: string) => void): Promise<EtcdProgram> {
  const found = await ensureProgram({ program: "etcd", package: "etcd-server" }, say);
  const { stdout } = await promisify(execFile)(found, ["--version"]);
  const version = /etcd Version: (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (version === null) throw new Error(`${found} --version does not look like etcd: ${stdout}`);
  return { path: found, version: [Number(version[1]), Number(version[2]), Number(version[3])] };
}
