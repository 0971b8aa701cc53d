/** v86's own virtio_net, from its npm package, behind its I/O ports; no guest runs, the bench's driver is all there is. */
import { createRequire } from "node:module";
import { BATCH, DEVICE_AREA, DRIVER_AREA, makeFrame, RING, TABLE } from "./layout.mjs";

// Ports where the device sits before any BIOS moves it, and fields of the common configuration (virtio 1.4 §4.1.4.3).
const COMMON = 0xc800;
const NOTIFY = 0xc900;
const ISR = 0xc700;
const FIELD = {
  driverFeatureSelect: 8,
  driverFeature: 12,
  status: 20,
  queueSelect: 22,
  queueSize: 24,
  queueEnable: 28,
  queueDesc: 32,
  queueDriver: 40,
  queueDevice: 48,
};
const F_VERSION_1 = 1 << 0;
const RUNNING = 15;

export async function v86Subject(receives) {
  const { V86 } = await import("v86");
  const emulator = new V86({
    wasm_path: createRequire(import.meta.url).resolve("v86/build/v86.wasm"),
    memory_size: 16 << 20,
    vga_memory_size: 1 << 20,
    net_device: { type: "virtio" },
    autostart: false,
    disable_speaker: true,
    disable_keyboard: true,
    disable_mouse: true,
  });
  await new Promise((resolve) => emulator.add_listener("emulator-loaded", resolve));
  const { cpu } = emulator.v86;
  const { io } = cpu;
  const { bus } = emulator;
  const queue = receives ? 0 : 1;
  let frame = makeFrame(0);
  const sent = new Float64Array(2);
  bus.register("net0-send", (frame) => {
    sent[0]++;
    sent[1] += frame.length;
  });
  return {
    memory: { buffer: cpu.wasm_memory.buffer, byteOffset: cpu.mem8.byteOffset },
    setLength(value) {
      frame = makeFrame(value);
    },
    start() {
      io.port_write8(COMMON + FIELD.status, 0);
      io.port_write8(COMMON + FIELD.status, 3);
      io.port_write32(COMMON + FIELD.driverFeatureSelect, 0);
      io.port_write32(COMMON + FIELD.driverFeature, 0);
      io.port_write32(COMMON + FIELD.driverFeatureSelect, 1);
      io.port_write32(COMMON + FIELD.driverFeature, F_VERSION_1);
      io.port_write8(COMMON + FIELD.status, 11);
      io.port_write16(COMMON + FIELD.queueSelect, queue);
      io.port_write16(COMMON + FIELD.queueSize, RING);
      io.port_write32(COMMON + FIELD.queueDesc, TABLE);
      io.port_write32(COMMON + FIELD.queueDriver, DRIVER_AREA);
      io.port_write32(COMMON + FIELD.queueDevice, DEVICE_AREA);
      io.port_write16(COMMON + FIELD.queueEnable, 1);
      io.port_write8(COMMON + FIELD.status, RUNNING);
      return true;
    },
    batch: receives
      ? () => {
          for (let i = 0; i < BATCH; i++) bus.send("net0-receive", frame);
        }
      : () => io.port_write16(NOTIFY + 2 * queue, queue),
    /** Reading the interrupt status acknowledges. */
    settle() {
      if ((io.port_read8(ISR) & 1) === 0) throw new Error("no interrupt in this batch");
    },
    sent: () => ({ frames: sent[0], bytes: sent[1] }),
  };
}
