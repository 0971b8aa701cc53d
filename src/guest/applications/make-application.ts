import type { NetDriver } from "../net-driver.ts";
import type { Application } from "./application.ts";
import { Bulk } from "./bulk.ts";
import { Echo } from "./echo.ts";
import { RequestResponse } from "./request-response.ts";
import { Sink } from "./sink.ts";

/** Which program, and its settings; plain data, so that it can be sent to a worker. */
export interface ApplicationOptions {
  readonly kind: "sink" | "echo" | "request-response" | "bulk";
  /** Length of the frames that `request-response` and `bulk` send; at least that of the stamp. */
  readonly sendBytes: number;
  /** Frames that `bulk` sends, null = without end. */
  readonly sendCount: number | null;
  /** Flow number in the stamps of `bulk`. */
  readonly flow: number;
  /** Where `request-response` and `bulk` send. */
  readonly peerMac: readonly number[];
  /** First sequence number that it expects and, as `bulk`, sends. */
  readonly firstSequence: number;
}

export const APPLICATION_DEFAULTS: ApplicationOptions = {
  kind: "sink",
  sendBytes: 64,
  sendCount: null,
  flow: 0,
  peerMac: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  firstSequence: 0,
};

/** Makes the program and attaches it to the driver, which is initialised: its MAC and longest frame are known. */
export function makeApplication(chosen: Partial<ApplicationOptions>, driver: NetDriver): Application {
  const options = { ...APPLICATION_DEFAULTS, ...chosen };
  const application = makeUnattached(options, driver);
  driver.attach(application);
  return application;
}

function makeUnattached(options: ApplicationOptions, driver: NetDriver): Application {
  const { firstSequence, sendBytes, sendCount, flow, peerMac } = options;
  if (!(sendBytes > 0 && sendBytes <= driver.frameBytesMax)) {
    throw new RangeError(`sendBytes is 1 to ${driver.frameBytesMax}, got ${sendBytes}`);
  }
  switch (options.kind) {
    case "sink":
      return new Sink(firstSequence);
    case "echo":
      return new Echo(driver, firstSequence);
    case "request-response":
      return new RequestResponse(driver, firstSequence, sendBytes, peerMac);
    case "bulk":
      return new Bulk(driver, firstSequence, sendBytes, sendCount, flow, peerMac);
  }
}
