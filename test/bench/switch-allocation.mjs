/**
 * What a switch and a pair of rings allocate per frame once everything is warm, for frames of changing lengths. Needs a
 * semi-space that outlasts the run.
 */
import { Frame } from "spillway/device";
import { createFrameRings, LearningSwitch, RingPort } from "spillway/hypervisor";

const FRAMES = 400_000;
const sent = new Frame(new Uint8Array(2048).fill(2));
const received = new Frame(sent.bytes);
sent.offset = 12;
const figures = {};

const { ports } = new LearningSwitch({ ports: [{}, {}, {}] });
// Port 1 has the station that is sent to: 02 02 02 02 02 03.
const reply = new Frame(new Uint8Array(60).fill(2));
reply.lengthBytes = 60;
reply.bytes[11] = 3;
ports[1].transmit(reply, 0);
sent.bytes[12 + 5] = 3;
figures.switchBytesPerFrame = measure((lengthBytes, nowNs) => {
  sent.lengthBytes = lengthBytes;
  ports[0].transmit(sent, nowNs);
  ports[1].receive(received, nowNs);
});

const rings = createFrameRings(1 << 18, 65553);
const doorbell = { words: new Int32Array(new SharedArrayBuffer(4)), index: 0 };
const [wire, card] = ["wire", "card"].map((end) => new RingPort({ rings, end, doorbell }));
figures.ringBytesPerFrame = measure((lengthBytes, nowNs) => {
  sent.lengthBytes = lengthBytes;
  wire.transmit(sent, nowNs);
  card.receive(received, nowNs);
});
process.stdout.write(JSON.stringify(figures));

function measure(pass) {
  run(pass);
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  run(pass);
  return (process.memoryUsage().heapUsed - before) / FRAMES;
}

function run(pass) {
  for (let i = 0; i < FRAMES; i++) pass(60 + (i % 1455), i);
}
