/**
 * A BIOS of 64 KiB that is a whole guest: 32-bit code which waits for interrupts of the card and does what words in
 * memory ask for. Tests set the rings up from outside; the CPU's part is what only running code shows.
 */

/** Words through which a test and the program talk. Ordinary memory that the test's driver does not reach. */
export const WORDS = 0x90000;
const word = (index: number) => WORDS + 4 * index;
/** Address or port of the ISR; 0 with MSI-X, when an interrupt needs no looking at. */
export const ISR_AT = word(0);
/** 1 if the registers lie in memory. */
export const IN_MEMORY = word(1);
/** Interrupts that found the ISR set, or with MSI-X messages. */
export const INTERRUPTS = word(2);
/** Interrupts of the line that found nothing. */
export const SPURIOUS = word(3);
/** 1: the program never halts. */
export const BUSY = word(4);
/** Notifications that are to be written yet: queue `KICK_QUEUE` to `KICK_AT`, 16 bits each. */
export const KICKS = word(5);
export const KICK_AT = word(6);
export const KICK_QUEUE = word(7);
/** Turns of the program's loop. */
export const TURNS = word(8);
/** 1: the code at CODE_AT is called in each turn. */
export const CALL_CODE = word(9);
/** 1: the program resets its machine, as an operating system does to reboot. */
export const REBOOT = word(10);
/** Times that the program has begun. */
export const STARTS = word(11);
/** What code at CODE_AT counts in. */
export const COUNTED_A = word(12);
export const COUNTED_B = word(13);
/** 1: the program faults with nobody to take the fault, nor that of the fault: a triple fault. */
export const TRIPLE_FAULT = word(14);
/** 1: the program lets no interrupts in, until it is 0 again. */
export const DEAF = word(15);
export const CODE_AT = 0x80000;
export const IRQ = 11;
/** Vector of message 0, of message 1 the next. */
export const MESSAGE_VECTOR = 0x40;

const SIZE = 0x10000;
const BASE = 0xf0000;
const GDT = 0x80;
const GDT_POINTER = 0xa0;
const IDT_POINTER = 0xa8;
const IDT = 0x200;
const IDT_ENTRIES = 0x48;
const MAIN = 0x1000;
const LINE_HANDLER = 0x2000;
const MESSAGE_HANDLER = 0x3000;
const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;
const STACK = 0x98000;

const le = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 0xff);
const le32 = (value: number) => le(value, 4);
const out8 = (port: number, value: number) => [0xb0, value, 0xe6, port]; // mov al, value; out port, al
const increment = (at: number) => [0xff, 0x05, ...le32(at)]; // inc dword [at]
const decrement = (at: number) => [0xff, 0x0d, ...le32(at)]; // dec dword [at]
const loadEdx = (at: number) => [0x8b, 0x15, ...le32(at)]; // mov edx, [at]
/** Runs `then` if the word is not 0. */
const ifSet = (at: number, then: readonly number[]) => [
  ...[0x83, 0x3d, ...le32(at), 0], // cmp dword [at], 0
  ...[0x0f, 0x84, ...le32(then.length)], // je behind
  ...then,
];
const ifElse = (at: number, then: readonly number[], otherwise: readonly number[]) => [
  ...ifSet(at, [...then, 0xeb, otherwise.length]), // … jmp behind
  ...otherwise,
];

/** Code that counts in the word at `at`: to be called in each turn. */
export const counting = (at: number): number[] => [...increment(at), 0xc3]; // … ret

export function bios(): ArrayBuffer {
  const image = new Uint8Array(SIZE);
  // Reset begins in real mode at f000:fff0.
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0); // jmp f000:0000
  image.set(
    [
      0xfa, // cli
      ...[0x2e, 0x0f, 0x01, 0x16, ...le(GDT_POINTER, 2)], // lgdt cs:[GDT_POINTER]
      ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // mov eax, cr0; or al, 1; mov cr0, eax
      ...[0x66, 0xea, ...le32(BASE + MAIN), ...le(CODE_SELECTOR, 2)], // jmp CODE_SELECTOR:MAIN
    ],
    0,
  );
  image.set([...le32(0), ...le32(0)], GDT);
  image.set([0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0], GDT + CODE_SELECTOR);
  image.set([0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0], GDT + DATA_SELECTOR);
  image.set([...le(3 * 8 - 1, 2), ...le32(BASE + GDT)], GDT_POINTER);
  image.set([...le(8 * IDT_ENTRIES - 1, 2), ...le32(BASE + IDT)], IDT_POINTER);
  const gate = (vector: number, handler: number) =>
    image.set([...le(handler, 2), ...le(CODE_SELECTOR, 2), 0, 0x8e, ...le(BASE >> 16, 2)], IDT + 8 * vector);
  gate(0x20 + IRQ, LINE_HANDLER);
  for (let vector = MESSAGE_VECTOR; vector < IDT_ENTRIES; vector++) gate(vector, MESSAGE_HANDLER);
  image.set(main(), MAIN);
  image.set(lineHandler(), LINE_HANDLER);
  image.set(
    [
      ...increment(INTERRUPTS),
      ...[0xc7, 0x05, ...le32(0xfee000b0), ...le32(0)], // end of interrupt to the local APIC
      0xcf, // iret
    ],
    MESSAGE_HANDLER,
  );
  return image.buffer;
}

function main(): number[] {
  const start = [
    ...[0x66, 0xb8, ...le(DATA_SELECTOR, 2), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // ds, es, ss
    ...[0xbc, ...le32(STACK)], // mov esp, STACK
    ...[0x0f, 0x01, 0x1d, ...le32(BASE + IDT_POINTER)], // lidt [IDT_POINTER]
    // Both interrupt controllers: vectors from 0x20 and 0x28, all masked but the slave and IRQ, which is level-triggered.
    ...[...out8(0x20, 0x11), ...out8(0xa0, 0x11), ...out8(0x21, 0x20), ...out8(0xa1, 0x28)],
    ...[...out8(0x21, 4), ...out8(0xa1, 2), ...out8(0x21, 1), ...out8(0xa1, 1)],
    ...[...out8(0x21, 0xff & ~(1 << 2)), ...out8(0xa1, 0xff & ~(1 << (IRQ - 8)))],
    ...[0x66, 0xba, ...le(0x4d1, 2), 0xb0, 1 << (IRQ - 8), 0xee], // mov dx, 0x4d1; mov al, …; out dx, al
    ...increment(STARTS),
    0xfb, // sti
  ];
  const turn = [
    ...increment(TURNS),
    ...ifSet(KICKS, [
      ...[0xa1, ...le32(KICK_QUEUE), ...loadEdx(KICK_AT)], // mov eax, [KICK_QUEUE]
      ...ifElse(IN_MEMORY, [0x66, 0x89, 0x02], [0x66, 0xef]), // mov [edx], ax; or: out dx, ax
      ...decrement(KICKS),
    ]),
    ...ifSet(CALL_CODE, [0xb9, ...le32(CODE_AT), 0xff, 0xd1]), // mov ecx, CODE_AT; call ecx
    ...ifSet(DEAF, [
      0xfa, // cli
      ...increment(TURNS),
      ...[0x83, 0x3d, ...le32(DEAF), 0, 0x75, -15 & 0xff], // cmp dword [DEAF], 0; jne to the increment
      0xfb, // sti
    ]),
    ...ifSet(REBOOT, [
      ...[0xc7, 0x05, ...le32(REBOOT), ...le32(0)], // mov dword [REBOOT], 0
      ...[0x66, 0xba, ...le(0xcf9, 2), 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee], // mov dx, 0xcf9; al = 2, then 6; out dx, al
    ]),
    ...ifSet(TRIPLE_FAULT, [
      ...[0xc7, 0x05, ...le32(TRIPLE_FAULT), ...le32(0)], // mov dword [TRIPLE_FAULT], 0
      ...[0x0f, 0x01, 0x1d, ...le32(BASE + GDT), 0x0f, 0x0b], // lidt of no entries; ud2
    ]),
    ...ifElse(BUSY, [0x90], [0xf4]), // nop; or: hlt
  ];
  return [...start, ...turn, 0xe9, ...le32(-(turn.length + 5) >>> 0)]; // … jmp turn
}

function lineHandler(): number[] {
  return [
    ...[0x50, 0x52], // push eax; push edx
    ...loadEdx(ISR_AT),
    ...ifElse(IN_MEMORY, [0x8a, 0x02], [0xec]), // mov al, [edx]; or: in al, dx
    ...[0xa8, 0x03, 0x75, 8, ...increment(SPURIOUS), 0xeb, 6], // test al, 3; jne next; …; jmp behind
    ...increment(INTERRUPTS),
    ...[0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20], // end of interrupt to both controllers
    ...[0x5a, 0x58, 0xcf], // pop edx; pop eax; iret
  ];
}
