/**
 * The page's part of browser.test.ts: a v86 machine with our card in a browser, its CPU in a loop, this page as its driver.
 * Frames go both ways through v86's own bus. The outcome is posted to /outcome.
 */

import { attachVirtioNet } from "/dist/hypervisor/v86/index.js";
import { V86 } from "/node_modules/v86/build/libv86.mjs";

const PORT = 0xc000;
const SLOT = 15;
const RECEIVE = 0x10000;
const TRANSMIT = 0x20000;
const BUFFER = 0x30000;
const QUEUE_SIZE = 8;
// virtio 1.4 §4.1.4.3: the common configuration, which our I/O BAR begins with.
const FEATURE_SELECT = 8;
const FEATURE = 12;
const STATUS = 20;
const QUEUE_SELECT = 22;
const QUEUE_SIZE_AT = 24;
const QUEUE_ENABLE = 28;
const QUEUE_DESC = 32;
const WITHIN_MS = 10_000;

try {
  await post(await run());
} catch (error) {
  await post({ error: `${error.stack ?? error}` });
}

async function run() {
  const emulator = new V86({
    wasm_path: "/node_modules/v86/build/v86.wasm",
    bios: { buffer: endlessLoop() },
    memory_size: 4 << 20,
    net_device: { type: "none" },
    autostart: false,
    disable_speaker: true,
    disable_keyboard: true,
    disable_mouse: true,
  });
  await new Promise((resolve) => emulator.add_listener("emulator-loaded", resolve));
  actAsBios(emulator.v86.cpu.devices.pci);
  const card = attachVirtioNet(emulator, { mac: [2, 0, 0, 0, 0, 1] });
  const { cpu } = emulator.v86;
  const sent = [];
  emulator.bus.register("net0-send", (bytes) => sent.push(bytes));

  const notifyPort = bringUp(cpu);
  const ram = () => new DataView(cpu.wasm_memory.buffer, cpu.mem8.byteOffset, 4 << 20);
  addBuffer(ram(), RECEIVE, BUFFER, 1526, 2);
  emulator.run();
  emulator.bus.send("net0-receive", frameOf(100, 7));
  await until(() => ram().getUint16(RECEIVE + 0x400 + 2, true) === 1, "the frame is received");
  const received = [...new Uint8Array(cpu.wasm_memory.buffer, cpu.mem8.byteOffset + BUFFER + 12, 100)];

  const frame = frameOf(200, 9);
  new Uint8Array(cpu.wasm_memory.buffer, cpu.mem8.byteOffset + BUFFER + 0x1000, 212).set([
    ...new Uint8Array(12),
    ...frame,
  ]);
  addBuffer(ram(), TRANSMIT, BUFFER + 0x1000, 212, 0);
  cpu.io.port_write16(notifyPort, 1);
  await until(() => sent.length === 1, "the frame is sent");
  const state = await emulator.save_state();
  await emulator.restore_state(state);
  const status = cpu.io.port_read8(PORT + STATUS);
  card.detach();
  const gone = cpu.io.port_read8(PORT + STATUS);
  await emulator.stop();
  return { received, sent: [...sent[0]], status, gone, agent: navigator.userAgent };
}

/** v86 cannot restore BARs that it has numbers for but no device; a BIOS writes over them. */
function actAsBios({ devices, device_spaces }) {
  for (const [id, device] of devices.entries()) {
    for (const [bar, shape] of (device?.pci_bars ?? []).entries()) if (!shape) device_spaces[id][4 + bar] = 0;
  }
}

/** Finds the card, puts its BAR to PORT, and enables both queues; returns where to notify. */
function bringUp({ io }) {
  const config = (offset) => io.port_write32(0xcf8, 0x80000000 | (SLOT << 11) | offset);
  config(0x10);
  io.port_write32(0xcfc, PORT | 1);
  config(4);
  io.port_write16(0xcfc, 7);
  let notifyAt = 0;
  config(0x34);
  for (let at = io.port_read8(0xcfc); at !== 0; ) {
    config(at);
    const [next, type] = [io.port_read8(0xcfd), io.port_read8(0xcff)];
    config(at + 8);
    if (type === 2) notifyAt = io.port_read32(0xcfc);
    at = next;
  }
  io.port_write8(PORT + STATUS, 0);
  io.port_write8(PORT + STATUS, 3);
  io.port_write32(PORT + FEATURE_SELECT, 1);
  io.port_write32(PORT + FEATURE, 1);
  io.port_write8(PORT + STATUS, 11);
  for (const [queue, ring] of [RECEIVE, TRANSMIT].entries()) {
    io.port_write16(PORT + QUEUE_SELECT, queue);
    io.port_write16(PORT + QUEUE_SIZE_AT, QUEUE_SIZE);
    for (const [area, place] of [ring, ring + 0x200, ring + 0x400].entries()) {
      io.port_write32(PORT + QUEUE_DESC + 8 * area, place);
      io.port_write32(PORT + QUEUE_DESC + 8 * area + 4, 0);
    }
    io.port_write16(PORT + QUEUE_ENABLE, 1);
  }
  io.port_write8(PORT + STATUS, 15);
  return PORT + notifyAt;
}

function addBuffer(ram, ring, address, length, flags) {
  ram.setUint32(ring, address, true);
  ram.setUint32(ring + 4, 0, true);
  ram.setUint32(ring + 8, length, true);
  ram.setUint16(ring + 12, flags, true);
  ram.setUint16(ring + 0x200 + 4, 0, true);
  ram.setUint16(ring + 0x200 + 2, 1, true);
}

/** A BIOS that does nothing, for ever: jmp $ where the processor begins. */
function endlessLoop() {
  const rom = new Uint8Array(0x10000).fill(0x90);
  rom.set([0xeb, 0xfe], 0xfff0);
  return rom.buffer;
}

function frameOf(lengthBytes, seed) {
  const bytes = Uint8Array.from({ length: lengthBytes }, (_, i) => (i * seed) & 0xff);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
  return bytes;
}

async function until(condition, what) {
  const endMs = performance.now() + WITHIN_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within ${WITHIN_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function post(outcome) {
  return fetch("/outcome", { method: "POST", body: JSON.stringify(outcome) });
}
