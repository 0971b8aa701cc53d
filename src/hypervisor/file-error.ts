const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is not a folder",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
  ENOSPC: "no space left on the device",
  EROFS: "the file system is read-only",
  EMFILE: "too many open files",
  EDQUOT: "the quota is used up",
  EFBIG: "the file grew too large",
  EIO: "input/output error",
};

/** Why the system refused a file, in words; null if `error` did not come from the system. */
export function fileErrorReason(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return null;
  const code = String(error.code);
  return REASONS[code] ?? code;
}
