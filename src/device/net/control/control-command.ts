/** One command of the control queue, as data: when it is known, and what it does. */

import type { CommandData } from "./command-data.ts";
import type { ResultWriter } from "./result-writer.ts";

export interface ControlCommand {
  readonly class: number;
  readonly command: number;
  /** The driver must have negotiated one of these. */
  readonly features: readonly number[];
  /** Length of its data. */
  readonly dataBytes: number;
  /** True if more data may follow: then `execute` looks at the length. */
  readonly isOpen?: boolean;
  /** Room for a result that it cannot do without. */
  readonly resultBytes?: number;
  /**
   * Carries it out; the first `dataBytes` are loaded. False if that cannot be: then nothing has changed, no result was
   * written, and the answer is VIRTIO_NET_ERR.
   */
  execute(data: CommandData, result: ResultWriter): boolean;
}
