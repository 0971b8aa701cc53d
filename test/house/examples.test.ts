import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { run } from "../../docs/examples/embed-card.ts";
import { start } from "../../docs/examples/v86.ts";
import type { Inside } from "../unit/hypervisor/v86/machine.ts";
import { bios } from "../unit/hypervisor/v86/program.ts";

const page = readFileSync("docs/embedding.md", "utf8");
const textOf = (example: string) => readFileSync(`docs/examples/${example}`, "utf8").trim();

describe("the examples of docs/", () => {
  it("embed-card: every frame that the guest sends comes back to it, with fewer interrupts than frames", () => {
    const { sent, received, interrupts } = run();
    expect(sent).toBe(100);
    expect(received).toBe(100);
    expect(interrupts).toBeGreaterThan(0);
    expect(interrupts).toBeLessThan(100);
  });

  it("v86: a guest that runs has the card on its PCI bus, and v86's network knows its address", async () => {
    const options = {
      wasm_path: createRequire(import.meta.url).resolve("v86/build/v86.wasm"),
      bios: { buffer: bios() },
      memory_size: 4 << 20,
      disable_speaker: true,
    };
    const emulator = start(options, { relay_url: "fetch" });
    await new Promise<void>((resolve) => emulator.add_listener("emulator-started", () => resolve()));
    const { v86, network_adapter } = emulator as unknown as Inside & { network_adapter: { vm_mac: Uint8Array } };
    v86.cpu.io.port_write32(0xcf8, 0x80000000 | (15 << 11));
    expect(v86.cpu.io.port_read32(0xcfc)).toBe(0x10411af4);
    expect(network_adapter.vm_mac[0]).toBe(0x02);
    await emulator.destroy();
  });

  it("are on the page as they are run: v86 in 10 lines, any other emulator in 40", () => {
    const v86 = textOf("v86.ts");
    const any = textOf("any-emulator.ts");
    const attach = any.slice(any.indexOf("export function attachCard"));
    expect(readFileSync("README.md", "utf8")).toContain(v86);
    for (const [text, lines] of [
      [v86.slice(v86.indexOf("export function")), 10],
      [attach, 40],
    ] as const) {
      expect(page).toContain(text);
      expect(text.split("\n").length).toBeLessThanOrEqual(lines);
    }
  });
});
