import type { LinuxCounts } from "../../report/result.ts";
import type { SerialShell } from "./serial-shell.ts";

const TIMEOUT_MS = 120_000;
/** Between two files, so that they come in one answer: the guest is the slower, the more often it is asked. */
const MARK = "#next";
const FILES = ["/proc/interrupts", "/proc/net/dev", "/proc/net/softnet_stat", "/proc/net/snmp"];

/** What the guest's kernel has counted so far. */
export async function readCounters(shell: SerialShell): Promise<LinuxCounts> {
  const parts = (await shell.run(FILES.map((file) => `cat ${file}; echo '${MARK}'`).join("; "), TIMEOUT_MS)).split(
    MARK,
  );
  return parseCounters(parts[0] ?? "", parts[1] ?? "", parts[2] ?? "", parts[3] ?? "");
}

export function parseCounters(interrupts: string, dev: string, softnet: string, snmp: string): LinuxCounts {
  const [rxBytes, rxPackets, rxErrors, rxDropped, , , , , , txPackets] = interfaceNumbers(dev);
  const softnetOf = (column: number): number =>
    lines(softnet).reduce((sum, line) => sum + Number.parseInt(line.split(/\s+/)[column] ?? "0", 16), 0);
  const udp = table(snmp, "Udp");
  return {
    interrupts: interruptsOf(interrupts),
    rxPackets: rxPackets ?? 0,
    rxBytes: rxBytes ?? 0,
    rxErrors: rxErrors ?? 0,
    rxDropped: rxDropped ?? 0,
    txPackets: txPackets ?? 0,
    softnetProcessed: softnetOf(0),
    softnetDropped: softnetOf(1),
    softnetSqueezed: softnetOf(2),
    udpNoPorts: udp.get("NoPorts") ?? 0,
    udpChecksumErrors: udp.get("InCsumErrors") ?? 0,
  };
}

/** What was counted from `before` to `after`. */
export function countersSince(before: LinuxCounts, after: LinuxCounts): LinuxCounts {
  const difference = Object.entries(after).map(([key, value]) => [key, value - before[key as keyof LinuxCounts]]);
  return Object.fromEntries(difference) as unknown as LinuxCounts;
}

/** Interrupts of all lines that belong to a virtio device, over all CPUs: INTx has one line, MSI-X one for each vector. */
function interruptsOf(text: string): number {
  let sum = 0;
  for (const line of lines(text)) {
    if (!/\bvirtio\d/.test(line)) continue;
    for (const word of line.trim().split(/\s+/).slice(1)) {
      if (!/^\d+$/.test(word)) break;
      sum += Number(word);
    }
  }
  return sum;
}

/** The numbers behind `eth0:`. */
function interfaceNumbers(text: string): number[] {
  const [, numbers = ""] = /^\s*eth0:(.*)$/m.exec(text) ?? [];
  return numbers.trim().split(/\s+/).map(Number);
}

/** `/proc/net/snmp` has two lines for each protocol: names, and numbers. */
function table(text: string, protocol: string): Map<string, number> {
  const [names = [], numbers = []] = lines(text)
    .filter((line) => line.startsWith(`${protocol}: `))
    .map((line) => line.trim().split(/\s+/).slice(1));
  return new Map(names.map((name, i) => [name, Number(numbers[i])]));
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}
