// What people see of a control plane's answers. Pure: messages in, text out.

import { formatDuration, formatProblem, type Problem } from "@meridian/proto/base";
import type {
  Change,
  ControlPlaneStatus,
  ProxyStatus,
  RegionStatus,
  StatusResponse,
} from "@meridian/proto/gen/admin_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import type { Paint } from "./paint.ts";
import { oneLine } from "./printable.ts";
import { renderPools } from "./render-pools.ts";
import { formatTable } from "./table.ts";

/** Age of a digest or frame that never came. */
const never = 4_294_967_295;

/** A line each, those that refuse first. */
export function renderProblems(problems: readonly Problem[], paint: Paint): string {
  const sorted = [...problems].sort((a, b) => Number(a.warning) - Number(b.warning));
  return sorted
    .map((each) => {
      const label = each.warning ? paint.yellow("warning") : paint.red("refused");
      return `${label}  ${oneLine(formatProblem(each))}\n`;
    })
    .join("");
}

const changeSigns = ["?", "+", "-", "~"] as const;

/** `~ backend/us-a: weight 1 → 2` */
export function renderChanges(changes: readonly Change[]): string {
  return changes
    .map((each) => {
      const detail = each.detail === "" ? "" : `: ${each.detail}`;
      return `${changeSigns[each.kind] ?? "?"} ${oneLine(`${each.resource}${detail}`)}\n`;
    })
    .join("");
}

/** Five tables: regions, control planes, proxies, backends, pools. now: milliseconds since 1970, for ends of drains. */
export function renderStatus(status: StatusResponse, now: number): string {
  const tables = [
    `policy ${formatVersion(status.policy)}\n`,
    regionTable(status.regions, now),
    controlPlaneTable(status.controlPlanes),
    proxyTable(status.proxies),
    backendTable(status, now),
    renderPools(status.pools, status.models),
  ];
  return tables.filter((each) => each !== "").join("\n");
}

function regionTable(regions: readonly RegionStatus[], now: number): string {
  const columns = [
    { title: "REGION" },
    { title: "STATE" },
    { title: "PROXIES", align: "right" },
    { title: "BACKENDS", align: "right" },
    { title: "DIGEST AGE", align: "right" },
    { title: "NOTE" },
  ] as const;
  return formatTable(
    columns,
    regions.map((each) => [
      each.name,
      each.state,
      String(each.proxies),
      `${each.available}/${each.backends}`,
      age(each.ageMs),
      [drainNote(each.drainedUntilMs, now), each.reason].filter((part) => part !== "").join(": "),
    ]),
  );
}

function controlPlaneTable(planes: readonly ControlPlaneStatus[]): string {
  const columns = [
    { title: "CONTROL PLANE" },
    { title: "REGION" },
    { title: "STATE" },
    { title: "PROXIES", align: "right" },
    { title: "POLICY" },
    { title: "BUILD" },
  ] as const;
  return formatTable(
    columns,
    planes.map((each) => [
      each.id,
      each.region,
      each.state,
      String(each.proxies),
      formatVersion(each.policy),
      each.build,
    ]),
  );
}

function proxyTable(proxies: readonly ProxyStatus[]): string {
  const columns = [
    { title: "PROXY" },
    { title: "REGION" },
    { title: "APPLIED" },
    { title: "STATE AGE", align: "right" },
    { title: "SEEN", align: "right" },
    { title: "LIVE", align: "right" },
    { title: "FOLLOWS" },
    { title: "REFUSED" },
  ] as const;
  return formatTable(
    columns,
    proxies.map((each) => [
      each.id,
      each.region,
      formatVersion(each.applied),
      age(each.stateAgeMs),
      `${formatDuration(each.seenMs)} ago`,
      String(each.liveRequests),
      each.controlPlane,
      each.refused.map(formatProblem).join("; "),
    ]),
  );
}

function backendTable(status: StatusResponse, now: number): string {
  const columns = [
    { title: "BACKEND" },
    { title: "REGION" },
    { title: "STATE" },
    { title: "IN FLIGHT", align: "right" },
    { title: "OK/10S", align: "right" },
    { title: "FAILED/10S", align: "right" },
    { title: "MODELS" },
    { title: "NOTE" },
  ] as const;
  return formatTable(
    columns,
    status.backends.map((each) => {
      const ejected = each.ejectedBy > 0 ? `kept out by ${proxyCount(each.ejectedBy)}` : "";
      const notes = [drainNote(each.drainedUntilMs, now), each.verdictReason, ejected];
      return [
        each.name,
        each.region,
        each.verdict === "degraded" && each.state === "available" ? each.verdict : each.state,
        String(each.inFlight),
        String(each.succeeded),
        String(each.failed),
        each.models.join(","),
        notes.filter((part) => part !== "").join(", "),
      ];
    }),
  );
}

function proxyCount(count: number): string {
  return count === 1 ? "1 proxy" : `${count} proxies`;
}

function drainNote(untilMs: bigint, now: number): string {
  if (untilMs === 0n) return "";
  return `drained for another ${formatDuration(Math.max(0, Number(untilMs) - now))}`;
}

function age(ms: number): string {
  return ms === never ? "never" : formatDuration(ms);
}
