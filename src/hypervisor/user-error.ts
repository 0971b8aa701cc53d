/** Something that the user of the command can mend: one line that says what is wrong and what is allowed; exit code 2. */
export class UserError extends Error {
  override readonly name = "UserError";
}
