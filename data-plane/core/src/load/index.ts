// The load table's door.

export { type CountedOutcome, defaultSlots, LoadTable, loadBufferBytes } from "./load-table.ts";
