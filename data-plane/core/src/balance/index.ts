// Pickers: which backend of a pool.

export { leastOutstanding } from "./least-outstanding.ts";
export type { LoadView, PickablePool, Picker } from "./picker.ts";
export { findPicker } from "./pickers.ts";
export { Saturation, saturationBytes } from "./saturation.ts";
