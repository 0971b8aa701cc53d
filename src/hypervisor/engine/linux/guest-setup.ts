import type { GuestSpec } from "../../scenario/scenario.ts";
import type { SerialShell } from "./serial-shell.ts";

const COMMAND_TIMEOUT_MS = 60_000;
const INTERFACE = "eth0";

/** The guest's IPv4 address: a network of its own, in which nobody else answers. */
export function addressOf(guestIndex: number): readonly number[] {
  return [10, 83, guestIndex >>> 8, (guestIndex & 0xff) + 1];
}

export interface GuestSetup {
  readonly guestIndex: number;
  /** What the guest asks of its card by NOTF_COAL (`ethtool -C`); null = nothing. */
  readonly coalesce: GuestSpec["coalesce"];
  /** Always has other work. */
  readonly busy: boolean;
}

/** The card was plugged in: lets the guest find it, and brings its interface up. Its first frame tells the switch where it is. */
export async function bringUp(shell: SerialShell, { guestIndex, coalesce, busy }: GuestSetup): Promise<void> {
  const run = (command: string): Promise<string> => shell.run(command, COMMAND_TIMEOUT_MS);
  // Nothing but the traffic is to come and go.
  await run("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ -e $f ] && echo 1 >$f; done; true");
  await run(
    `echo 1 >/sys/bus/pci/rescan; for i in $(seq 50); do [ -e /sys/class/net/${INTERFACE} ] && break; sleep 0.1; done; ` +
      `[ -e /sys/class/net/${INTERFACE} ]`,
  );
  if (coalesce !== null) {
    const { maxUsecs, maxPackets } = coalesce;
    // While the interface is down: on 6.1 the driver refuses what would switch its own transmit polling while it is up.
    await run(
      `ethtool -C ${INTERFACE} rx-usecs ${maxUsecs} rx-frames ${maxPackets} tx-usecs ${maxUsecs} tx-frames ${maxPackets}`,
    );
  }
  const address = addressOf(guestIndex).join(".");
  await run(`ip addr add ${address}/24 dev ${INTERFACE} && ip link set ${INTERFACE} up`);
  await run(`arping -q -U -c 1 -w 1 -I ${INTERFACE} ${address}; true`);
  if (busy) await run("(while :; do :; done) </dev/null >/dev/null 2>&1 & renice -n 19 -p $!");
}
