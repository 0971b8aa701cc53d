/** A cpio archive in the "newc" format, as Linux unpacks it for its first root (Documentation/driver-api/early-userspace). */

const MODE_FOLDER = 0o040755;
const MODE_PROGRAM = 0o100755;
const MODE_LINK = 0o120777;
const MODE_CHARACTER_DEVICE = 0o020600;

export class CpioArchive {
  readonly #parts: Buffer[] = [];
  readonly #folders = new Set<string>();
  #inode = 0;

  /** A file that may be run. Folders on its way are made. */
  file(path: string, content: Buffer): void {
    this.#entry(path, MODE_PROGRAM, content);
  }

  link(path: string, target: string): void {
    this.#entry(path, MODE_LINK, Buffer.from(target));
  }

  characterDevice(path: string, major: number, minor: number): void {
    this.#entry(path, MODE_CHARACTER_DEVICE, Buffer.alloc(0), major, minor);
  }

  folder(path: string): void {
    if (path === "" || this.#folders.has(path)) return;
    this.#folders.add(path);
    this.#entry(path, MODE_FOLDER, Buffer.alloc(0));
  }

  /** The archive; nothing can be added after this. */
  finish(): Buffer {
    this.#entry("TRAILER!!!", 0, Buffer.alloc(0));
    return Buffer.concat(this.#parts);
  }

  #entry(path: string, mode: number, content: Buffer, major = 0, minor = 0): void {
    this.folder(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    const name = Buffer.from(`${path}\0`);
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    const fields = [++this.#inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
    this.#append(Buffer.concat([header, name]));
    this.#append(content);
  }

  #append(bytes: Buffer): void {
    this.#parts.push(bytes, Buffer.alloc(-bytes.length & 3));
  }
}
