import { styleText } from "node:util";

/**
 * The head of a table, coloured if asked. By our own hand: cli-table3 colours or not as the environment's CI, TERM and
 * COLORTERM say, whatever its caller decided.
 */
export function tableHead(titles: readonly string[], colours: boolean): string[] {
  return titles.map((title) => (colours && title !== "" ? styleText("cyan", title, { validateStream: false }) : title));
}

/** What keeps cli-table3 from colours of its own. */
export const PLAIN_STYLE = { head: [], border: [] };
