// Which region may send how much of its demand where.

export {
  balanceModels,
  type ModelBalance,
  type OutflowShare,
  RegionTable,
  type TableRegion,
} from "./region-table.ts";
