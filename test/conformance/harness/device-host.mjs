/**
 * What holds the card under test: the card, its transport, and a wire that is a list. The same file serves the test's
 * own thread and a thread of its own; there everything passes as messages, so arguments and results are plain values.
 */

/** Where drivers see memory that lies behind a translator. */
const BUS_OFFSET = 2 ** 32;

/** What the driver of these tests programs into entry `vector` of its MSI-X table. */
function vectorOfMessage(address, data) {
  return address === 0xfee00000 && data >= 0x4000 ? data - 0x4000 : -1;
}

class Wire {
  maxFrameBytes = 65553;
  takesChecksum = false;
  takesSegmentation = false;
  accepts = true;
  arrivals = [];
  sent = [];
  #id = 0;

  receive(frame) {
    const arrival = this.arrivals.shift();
    if (arrival === undefined) return false;
    const { bytes, ...header } = arrival;
    Object.assign(frame, { flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart: 0, csumOffset: 0, urgent: false });
    Object.assign(frame, { bytes, offset: 0, lengthBytes: bytes.length, id: ++this.#id }, header);
    return true;
  }

  nextArrivalNs() {
    return this.arrivals.length > 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  transmit(frame) {
    if (!this.accepts) return false;
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame;
    const bytes = frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes);
    this.sent.push({ bytes: new Uint8Array(bytes), flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset });
    return true;
  }
}

export class DeviceHost {
  #device;
  #buffer;
  #card;
  #transport;
  #wire;
  #options;
  #kind;
  #interrupts = [];
  #wakes = [];
  #lineAsserted = false;
  #nowNs = 1000;
  /** True while the device's thread polls without being asked. */
  polling = false;

  /** @param device the module `spillway/device`; @param buffer guest memory */
  constructor(device, buffer) {
    this.#device = device;
    this.#buffer = buffer;
  }

  /** A new card, and a guest that is on its CPUs. */
  create(kind, { wire = {}, translated = false, intx: _driverOnly, ...options }) {
    this.#kind = kind;
    this.#wire = Object.assign(new Wire(), wire);
    this.#options = { mac: [0x02, 0, 0, 0, 0, 1], ...options, translated };
    this.polling = false;
    this.#nowNs = 1000;
    this.#build();
  }

  #build() {
    const { GuestMemory, MmioTransport, NetCard, PciInterrupts, PciTransport } = this.#device;
    const { translated, pci, ...options } = this.#options;
    const onPci = this.#kind === "PCI";
    const bytes = this.#buffer.byteLength;
    const translator = {
      runBytes: 0,
      translate(address) {
        this.runBytes = bytes - (address - BUS_OFFSET);
        return address < BUS_OFFSET || this.runBytes <= 0 ? -1 : address - BUS_OFFSET;
      },
    };
    this.#interrupts = [];
    this.#wakes = [];
    const wake = (vcpu, why) => this.#wakes.push({ vcpu, why });
    const interrupted = (vector, why) => {
      this.#interrupts.push({ vector, why, status: this.#card.interruptStatus.value });
    };
    const interrupts = onPci
      ? new PciInterrupts({
          message: (address, data) => interrupted(vectorOfMessage(address, data), -1),
          line: (asserted) => {
            this.#lineAsserted = asserted;
            if (asserted) interrupted(0, -1);
          },
          wake,
        })
      : { notify: interrupted, wake };
    this.#lineAsserted = false;
    this.#card = new NetCard({
      memory: new GuestMemory(this.#buffer, undefined, undefined, translated ? translator : null),
      port: this.#wire,
      interrupts,
      // MSI-X: one vector for the configuration, and one for each queue.
      vectors: onPci ? 2 * (options.pairs ?? 1) + 2 : 1,
      ...options,
    });
    this.#transport = onPci ? new PciTransport(this.#card, interrupts, pci) : new MmioTransport(this.#card);
    for (let vcpu = 0; vcpu < (options.vcpus ?? 1); vcpu++) this.setGuestState(vcpu, true);
  }

  /** On PCI `space` is the number of a BAR, or -1 for the configuration space; on MMIO there is only one. */
  read(space, offset, widthBytes) {
    if (this.#kind === "MMIO") return this.#transport.read(offset, widthBytes, this.#nowNs);
    if (space < 0) return this.#transport.readConfig(offset, widthBytes, this.#nowNs);
    return this.#transport.readBar(space, offset, widthBytes, this.#nowNs);
  }

  write(space, offset, widthBytes, value) {
    if (this.#kind === "MMIO") this.#transport.write(offset, widthBytes, value, this.#nowNs);
    else if (space < 0) this.#transport.writeConfig(offset, widthBytes, value, this.#nowNs);
    else this.#transport.writeBar(space, offset, widthBytes, value, this.#nowNs);
  }

  /** Polls until nothing is left to do, or once with `budget`. */
  poll(budget) {
    if (budget !== undefined) return this.#card.poll(this.#nowNs, budget);
    let total = 0;
    for (let round = 0; round < 1000; round++) {
      const done = this.#card.poll(this.#nowNs, 64);
      total += done;
      if (done === 0) return total;
    }
    throw new Error("the card finds work for ever");
  }

  advance(ns) {
    this.#nowNs += ns;
  }

  setPolling(on) {
    this.polling = on;
  }

  /** One turn of the polling thread: 1 us of its time. */
  turn() {
    this.#nowNs += 1000;
    return this.#card.poll(this.#nowNs, 64);
  }

  inject(arrivals) {
    this.#wire.arrivals.push(...arrivals);
  }

  takeSent() {
    return this.#wire.sent.splice(0);
  }

  takeInterrupts() {
    return this.#interrupts.splice(0);
  }

  isLineAsserted() {
    return this.#lineAsserted;
  }

  takeWakes() {
    return this.#wakes.splice(0);
  }

  setWire(properties) {
    Object.assign(this.#wire, properties);
  }

  setGuestState(vcpu, active) {
    this.#card.throttle.setGuestState(vcpu, active ? 1 : 0, 1, this.#nowNs);
  }

  setLinkUp(up) {
    this.#card.setLinkUp(up, this.#nowNs);
  }

  announce() {
    this.#card.announce(this.#nowNs);
  }

  /** Faults by name, of the card and of all queues, and what else it counts. */
  statistics() {
    const { statistics } = this.#card;
    const faults = {};
    this.#device.FAULTS.forEach(({ name }, code) => {
      const count = statistics.faultCount(code);
      if (count > 0) faults[name] = count;
    });
    const queues = statistics.queues.map(({ frames, bytes, buffers, kicks, dropped }) => {
      return { frames, bytes, buffers, kicks, dropped };
    });
    return { faults, filtered: statistics.filtered, resets: statistics.resets, queues };
  }

  /** Sets a counter of a queue, as if so much had happened. */
  setCounter(slot, name, value) {
    this.#card.statistics.queues[slot][name] = value;
  }

  /** Another card goes on in place of this one, from its saved state. */
  replaceBySaved() {
    const state = JSON.parse(JSON.stringify(this.#card.saveState(this.#nowNs)));
    const transportState = this.#kind === "PCI" ? JSON.parse(JSON.stringify(this.#transport.saveState())) : null;
    this.#build();
    this.#card.restoreState(state, this.#nowNs);
    if (transportState !== null) this.#transport.restoreState(transportState, this.#nowNs);
  }
}
