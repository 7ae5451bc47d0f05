// The door to the stores: one text names which one, and where.

import type { WatchState } from "@meridian/control-core/watch";
import { err, ok, type Problem, problem, type Random, type Result } from "@meridian/proto/base";
import { openEmbeddedStore } from "./embedded-store.ts";
import type { EtcdTls } from "./etcd/member.ts";
import { openEtcdStore } from "./etcd-store.ts";
import type { Store } from "./store.ts";

export type OpenStoreOptions = {
  /** For the jitter of retries. */
  readonly random: Random;
  /** Told what an operator should know, for the log: an old etcd, a member that does not answer. */
  readonly warn: (message: string) => void;
  /** For a metric: one of three states per watch on etcd. */
  readonly onWatchState?: (prefix: string, state: WatchState, reason: string) => void;
  /** For etcd members with https addresses. */
  readonly tls?: EtcdTls;
};

/**
 * Opens the store that a specification names. An etcd that can't be reached is no problem here: it is tried with
 * every use.
 *
 * @example openStore("embedded:/var/lib/meridian", options)
 * @example openStore("etcd:http://10.0.0.1:2379,http://10.1.0.1:2379", options) // nearest member first
 */
export async function openStore(
  spec: string,
  options: OpenStoreOptions,
): Promise<Result<Store, Problem>> {
  const colon = spec.indexOf(":");
  const kind = spec.slice(0, Math.max(0, colon));
  const rest = spec.slice(colon + 1);
  if (kind === "embedded" && rest !== "") return openEmbeddedStore({ folder: rest });
  const urls = rest.split(",").map((each) => each.trim());
  if (kind === "etcd" && urls.every(isHttpUrl)) return ok(openEtcdStore({ urls, ...options }));
  const hint = "embedded:FOLDER, or etcd:http://HOST:PORT,… with the nearest member first";
  return err(problem("store_unknown", "store", `${JSON.stringify(spec)} names no store`, hint));
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
