import { describe, expect, it } from "vitest";
import { SerialShell } from "../../../../../src/hypervisor/engine/linux/serial-shell.ts";

type Emulator = ConstructorParameters<typeof SerialShell>[0];

/** A guest that is nothing but its serial ports. */
function makeGuest() {
  const listeners = new Map<string, (byte: number) => void>();
  const sent: string[] = [];
  const emulator = {
    add_listener: (name: string, listener: (byte: number) => void) => listeners.set(name, listener),
    serial0_send: (text: string) => sent.push(text),
  } as unknown as Emulator;
  const says = (text: string, port = 0): void => {
    for (const byte of Buffer.from(text)) listeners.get(`serial${port}-output-byte`)!(byte);
  };
  return { shell: new SerialShell(emulator), says, sent };
}

describe("the line to a guest's first process", () => {
  it("is ready when the guest says so, whatever it has said before", async () => {
    const { shell, says } = makeGuest();
    says("booting\n#ready\n");
    await expect(shell.ready).resolves.toBeUndefined();
  });

  it("takes a command, and gives its output once the guest says that it has ended", async () => {
    const { shell, says, sent } = makeGuest();
    const output = shell.run("cat /proc/x", 1000);
    expect(sent).toEqual(["1 cat /proc/x\n"]);
    says("a #1 5 b\nlast\n\n#1 0\n");
    await expect(output).resolves.toBe("a #1 5 b\nlast\n");
    const second = shell.run("true", 1000);
    says("\n#2 0\n");
    await expect(second).resolves.toBe("");
  });

  it("says what a command that fails has said, and what the kernel has", async () => {
    const { shell, says } = makeGuest();
    const output = shell.run("ip link", 1000);
    says("[ 1.2] out of memory\n", 1);
    says("no such device\n\n#1 2\n");
    await expect(output).rejects.toThrow(
      'in the guest, "ip link" ended with 2: no such device; its kernel says: [ 1.2] out of memory',
    );
  });

  it("gives up a command that does not end, and does not take its late end for that of the next", async () => {
    const { shell, says } = makeGuest();
    await expect(shell.run("sleep 9", 5)).rejects.toThrow('"sleep 9" did not end within 5 ms');
    const next = shell.run("echo on", 1000);
    says("\n#1 0\non\n\n#2 0\n");
    await expect(next).resolves.toContain("on\n");
  });
});
