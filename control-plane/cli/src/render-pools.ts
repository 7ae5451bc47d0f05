// The region table for people: per model and region what it has, what is asked of it, and where that may go.

import type { ModelStatus, PoolStatus } from "@meridian/proto/gen/admin_pb";
import { oneLine } from "./printable.ts";
import { formatTable } from "./table.ts";

/** A row for each region and model, and a line for each model that could not bear the loss of its largest region. */
export function renderPools(pools: readonly PoolStatus[], models: readonly ModelStatus[]): string {
  return `${poolTable(pools)}${models.map(shortageLine).join("")}`;
}

function poolTable(pools: readonly PoolStatus[]): string {
  const columns = [
    { title: "MODEL" },
    { title: "REGION" },
    { title: "BACKENDS", align: "right" },
    { title: "CAPACITY TOKENS/S", align: "right" },
    { title: "DEMAND TOKENS/S", align: "right" },
    { title: "PENDING TOKENS", align: "right" },
    { title: "SENT AWAY", align: "right" },
    { title: "MAY SEND AWAY" },
  ] as const;
  return formatTable(
    columns,
    pools.map((each) => [
      each.model,
      each.region,
      `${each.available}/${each.backends}`,
      each.capacityTokens === undefined ? "not known" : String(each.capacityTokens),
      String(each.demandTokens),
      String(each.pendingTokens),
      percent(each.sentAway),
      rowText(each),
    ]),
  );
}

/** `ap-south nothing, us-east 12.5 % (210 tokens/s)` */
function rowText({ outflows }: PoolStatus): string {
  if (outflows.length === 0) return "not bound";
  return outflows
    .map(({ region, share, tokens }) =>
      share === 0 ? `${region} nothing` : `${region} ${percent(share)} (${tokens} tokens/s)`,
    )
    .join(", ");
}

function shortageLine({ model, largest, demandTokens, spareTokens }: ModelStatus): string {
  if (spareTokens === undefined || spareTokens >= 0n) return "";
  const left = demandTokens + spareTokens;
  const text = `${model}: without ${largest} there would be ${left} tokens/s for a demand of ${demandTokens}`;
  return `warning  ${oneLine(text)}\n`;
}

function percent(thousandths: number): string {
  return `${thousandths / 10} %`;
}
