/** Sends every frame back, and sleeps on its doorbell while there is none. */
import { workerData } from "node:worker_threads";
import { Frame } from "spillway/device";
import { RingPort } from "spillway/hypervisor";

const { rings, bells } = workerData;
const port = new RingPort({ rings, end: "card", doorbell: { words: bells, index: 0 } });
const frame = new Frame(new Uint8Array(0));
for (;;) {
  const bell = Atomics.load(bells, 1);
  let took = false;
  while (port.receive(frame)) {
    took = true;
    // Its other end has never more frames under way than fit.
    if (!port.transmit(frame, 0)) throw new Error("no room");
  }
  if (!took) Atomics.wait(bells, 1, bell);
}
