import { attachVirtioNet } from "spillway/v86";
import { V86, type V86Options } from "v86";

export function start(options: V86Options, net_device: object): V86 {
  const emulator = new V86({ ...options, net_device: { type: "none" as "virtio", ...net_device }, autostart: false });
  emulator.add_listener("emulator-loaded", () => {
    attachVirtioNet(emulator);
    emulator.run();
  });
  return emulator;
}
