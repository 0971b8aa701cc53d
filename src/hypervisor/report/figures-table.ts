import Table from "cli-table3";
import { PLAIN_STYLE, tableHead } from "./table-head.ts";

export interface TableStyle {
  /** Terminal colours; false for a pipe, and where NO_COLOR asks for none. */
  readonly colours: boolean;
}

/** A compact table of figures, as text. */
export function figuresTable(style: TableStyle, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({
    head: tableHead(head, style.colours),
    // Compact: no rule between rows.
    style: { compact: true, ...PLAIN_STYLE },
    // Names and labels to the left, figures to the right; a table of labels and remarks is all left.
    colAligns: head.map((title) => (head.length === 2 || ["policy", "guest"].includes(title) ? "left" : "right")),
  });
  made.push(...rows.map((row) => [...row]));
  return made.toString();
}
