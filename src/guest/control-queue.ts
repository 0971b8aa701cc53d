/**
 * Commands to the device over the control virtqueue, virtio 1.4 §5.1.9.5. A command is synchronous: it is posted, and
 * the driver polls the used ring until the device has answered; `relax` lets the device get on meanwhile.
 *
 *   device reads    class u8, command u8, data…
 *   device writes   ack u8, then the command's result, if it has one
 */
import {
  CTRL_COAL_BYTES,
  CTRL_COAL_VQ_BYTES,
  CTRL_ERR,
  CTRL_HDR_BYTES,
  CTRL_NOTF_COAL,
  CTRL_NOTF_COAL_RX_SET,
  CTRL_NOTF_COAL_TX_SET,
  CTRL_NOTF_COAL_VQ_GET,
  CTRL_NOTF_COAL_VQ_SET,
  CTRL_OK,
} from "../device/spec/virtio-net-control.ts";
import { DeviceFault } from "./device-fault.ts";
import type { MmioTransport } from "./mmio-transport.ts";
import type { RamViews } from "./ram-views.ts";
import type { SplitRingDriver } from "./split-ring-driver.ts";

/** Where in the control buffer a command's parts lie; results are u32s, hence the alignment. */
const ACK_OFFSET = 32;
const RESULT_OFFSET = 40;
/** Neither OK nor ERR: shows whether the device has written the ack at all. */
const ACK_UNWRITTEN = 0xff;

export interface Coalescing {
  readonly maxUsecs: number;
  readonly maxPackets: number;
}

export interface ControlSettings {
  readonly queue: number;
  readonly bufferAddress: number;
  readonly tableAddress: number;
  /** VIRTIO_F_INDIRECT_DESC: post each command through an indirect table. */
  readonly indirect: boolean;
}

/** How the driver lets the device get on while a command is unanswered. */
export interface Patience {
  readonly relax: () => void;
  /** Calls of `relax` after which the driver gives the command up. */
  readonly relaxMax: number;
}

export class ControlQueue {
  readonly ring: SplitRingDriver;
  violations = 0;

  readonly #transport: MmioTransport;
  readonly #settings: ControlSettings;
  readonly #patience: Patience;
  readonly #u8: Uint8Array;
  readonly #view: DataView;

  constructor(
    ring: SplitRingDriver,
    ram: RamViews,
    transport: MmioTransport,
    settings: ControlSettings,
    patience: Patience,
  ) {
    this.ring = ring;
    this.#transport = transport;
    this.#settings = settings;
    this.#patience = patience;
    this.#u8 = ram.u8;
    this.#view = new DataView(ram.u8.buffer, ram.u8.byteOffset, ram.sizeBytes);
    ring.disableNotifications();
  }

  setAllReceive(coalescing: Coalescing): boolean {
    return this.#setAll(CTRL_NOTF_COAL_RX_SET, coalescing);
  }

  setAllTransmit(coalescing: Coalescing): boolean {
    return this.#setAll(CTRL_NOTF_COAL_TX_SET, coalescing);
  }

  setQueue(queue: number, coalescing: Coalescing): boolean {
    const data = this.#begin(CTRL_NOTF_COAL_VQ_SET);
    this.#writeQueue(data, queue);
    this.#writeCoalescing(data + 4, coalescing);
    return this.#run(CTRL_COAL_VQ_BYTES, 0) === CTRL_OK;
  }

  /** Null if the device answered ERR: its values MUST then be ignored. */
  getQueue(queue: number): Coalescing | null {
    const data = this.#begin(CTRL_NOTF_COAL_VQ_GET);
    this.#writeQueue(data, queue);
    if (this.#run(CTRL_COAL_VQ_BYTES - CTRL_COAL_BYTES, CTRL_COAL_BYTES) !== CTRL_OK) return null;
    const result = this.#settings.bufferAddress + RESULT_OFFSET;
    return { maxPackets: this.#view.getUint32(result, true), maxUsecs: this.#view.getUint32(result + 4, true) };
  }

  #setAll(command: number, coalescing: Coalescing): boolean {
    this.#writeCoalescing(this.#begin(command), coalescing);
    return this.#run(CTRL_COAL_BYTES, 0) === CTRL_OK;
  }

  /** Writes class and command; answers the address of the data. */
  #begin(command: number): number {
    const address = this.#settings.bufferAddress;
    this.#u8[address] = CTRL_NOTF_COAL;
    this.#u8[address + 1] = command;
    return address + CTRL_HDR_BYTES;
  }

  #writeQueue(address: number, queue: number): void {
    this.#view.setUint16(address, queue, true);
    this.#view.setUint16(address + 2, 0, true);
  }

  #writeCoalescing(address: number, coalescing: Coalescing): void {
    this.#view.setUint32(address, coalescing.maxPackets, true);
    this.#view.setUint32(address + 4, coalescing.maxUsecs, true);
  }

  #run(dataBytes: number, resultBytes: number): number {
    const { queue, bufferAddress, tableAddress, indirect } = this.#settings;
    const { relax, relaxMax } = this.#patience;
    const ring = this.ring;
    this.#u8[bufferAddress + ACK_OFFSET] = ACK_UNWRITTEN;
    ring.elementAddress[0] = bufferAddress;
    ring.elementBytes[0] = CTRL_HDR_BYTES + dataBytes;
    ring.elementAddress[1] = bufferAddress + ACK_OFFSET;
    ring.elementBytes[1] = 1;
    ring.elementAddress[2] = bufferAddress + RESULT_OFFSET;
    ring.elementBytes[2] = resultBytes;
    const writable = resultBytes > 0 ? 2 : 1;
    if (indirect) ring.addIndirect(tableAddress, 1, writable);
    else if (ring.freeDescriptors > writable) ring.addChain(1, writable);
    else throw new Error(`a control queue of ${ring.entries} entries is too small for this command`);
    if (ring.publish()) this.#transport.notifyQueue(queue);
    for (let calls = 0; ring.refreshUsed() === 0; calls++) {
      if (calls === relaxMax) throw new Error(`the device left a control command unanswered for ${relaxMax} looks`);
      relax();
    }
    const descriptors = ring.takeUsed();
    ring.release(ring.usedHead, descriptors);
    ring.disableNotifications();
    const ack = this.#u8[bufferAddress + ACK_OFFSET]!;
    const written = ack === CTRL_OK ? 1 + resultBytes : 1;
    if ((ack !== CTRL_OK && ack !== CTRL_ERR) || ring.usedBytes < written) {
      this.violations++;
      throw new DeviceFault(`control command answered with ack ${ack} and used.len ${ring.usedBytes}`);
    }
    return ack;
  }
}
