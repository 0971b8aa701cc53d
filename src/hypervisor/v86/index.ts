/** Public face of the adapter: `spillway/v86`. */

export { attachVirtioNet, type VirtioNetOptions } from "./attach.ts";
export type { AttachedCard } from "./attached-card.ts";
