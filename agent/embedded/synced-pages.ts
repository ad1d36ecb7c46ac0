import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { Key, RootDatabase, Transaction } from 'lmdb';
import { LeatError } from '#shared/model/faults.ts';

/** An LMDB file begins with two meta pages, which commits write in turn: they say where the tree of rows begins. */
const METAS = 2;
const SLOT_BYTES = 131_072;
const HEAD_BYTES = 64;
const BOOT_BYTES = 40;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

const fdatasyncOf = promisify(fdatasync);
const writeOf = promisify(write);

/**
 * What a power failure leaves of an LMDB file that is not synced at each commit. A sync in the commit would hold the event loop
 * for a millisecond on an idle disk and for seconds beside a big download; without any, pages reach the disk in any order.
 * So: at a sync the meta pages are kept aside, in a small file, once all that they point to is on the disk, and a read
 * transaction holds the pages of that snapshot until the next one is safe. After a power failure the file is put back to it.
 * A killed process loses nothing, as its pages are the kernel's: only another boot puts back.
 */
export class SyncedPages {
  readonly #db: RootDatabase<Buffer, Key>;
  readonly #rows: number;
  readonly #aside: number;
  readonly #asideFile: string;
  readonly #metas: Buffer;
  #held: Transaction | undefined;
  #count: number;

  /** To be opened before the first commit: the snapshot that the last process has kept is held by nobody until then. */
  constructor(db: RootDatabase<Buffer, Key>, rowsFile: string) {
    this.#db = db;
    this.#asideFile = asideOf(rowsFile);
    this.#count = (newestIn(this.#asideFile)?.count ?? 0) + 1;
    this.#rows = openSync(rowsFile, 'r+');
    this.#aside = openSync(this.#asideFile, constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC, 0o600);
    const { pageSize } = db.getStats() as { readonly pageSize: number };
    this.#metas = Buffer.alloc(METAS * pageSize);
    this.#held = this.#capture();
    fdatasyncSync(this.#rows);
    // Both slots, so that the disk has room for both from now on.
    for (let i = 0; i < 2; i++) {
      const slot = this.#nextSlot();
      writeSync(this.#aside, slot.bytes, 0, slot.bytes.length, slot.at);
      this.#count++;
    }
  }

  /** All that is committed when it is called is safe when it resolves. One at a time. A fault may be tried again. */
  async sync(): Promise<void> {
    const next = this.#capture();
    try {
      await fdatasyncOf(this.#rows);
      await this.#keepAside();
    } catch (error) {
      next.done();
      throw error;
    }
    this.#held?.done();
    this.#held = next;
  }

  async #keepAside(): Promise<void> {
    const slot = this.#nextSlot();
    try {
      await writeOf(this.#aside, slot.bytes, 0, slot.bytes.length, slot.at);
      this.#count++;
    } catch (cause) {
      // Nothing is lost by it: the snapshot before is still held, and the next sync tries again.
      throw new LeatError('unavailable', `${this.#asideFile}: could not be written`, { cause });
    }
  }

  /** After the last sync. Without the file aside the rows are taken as they are: they may be copied or restored by hand. */
  close(isAllSynced: boolean): void {
    this.#held?.done();
    this.#held = undefined;
    closeSync(this.#rows);
    closeSync(this.#aside);
    if (isAllSynced) rmSync(this.#asideFile);
  }

  /** The metas and the snapshot are of the same commit, because commits are made by this thread alone. */
  #capture(): Transaction {
    this.#db.resetReadTxn();
    readSync(this.#rows, this.#metas, 0, this.#metas.length, 0);
    return this.#db.useReadTransaction();
  }

  /** Slots are written in turn: one that is torn leaves the other, and is written again. */
  #nextSlot(): { readonly bytes: Buffer; readonly at: number } {
    const count = this.#count;
    const bytes = Buffer.alloc(HEAD_BYTES + this.#metas.length);
    bytes.writeUInt32LE(this.#metas.length, 4);
    bytes.writeDoubleLE(count, 8);
    bytes.write(bootId(), 16, BOOT_BYTES, 'latin1');
    this.#metas.copy(bytes, HEAD_BYTES);
    bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
    return { bytes, at: (count % 2) * SLOT_BYTES };
  }
}

/** Before LMDB opens the file: puts it back to the snapshot that is safe when another boot has written it. True if it did. */
export function restoreSyncedPages(rowsFile: string): boolean {
  const boot = bootId();
  const newest = existsSync(rowsFile) ? newestIn(asideOf(rowsFile)) : undefined;
  if (!newest || (boot !== '' && newest.boot === boot)) return false;
  const fd = openSync(rowsFile, 'r+');
  try {
    writeSync(fd, newest.metas, 0, newest.metas.length, 0);
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return true;
}

const asideOf = (rowsFile: string) => `${rowsFile}-synced`;

interface Slot {
  readonly count: number;
  readonly boot: string;
  readonly metas: Buffer;
}

function newestIn(file: string): Slot | undefined {
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  const slots = [0, SLOT_BYTES].flatMap((at) => slotAt(bytes, at) ?? []);
  return slots.toSorted((a, b) => b.count - a.count)[0];
}

function slotAt(file: Buffer, at: number): Slot | undefined {
  if (file.length < at + HEAD_BYTES) return undefined;
  const length = file.readUInt32LE(at + 4);
  const bytes = file.subarray(at, at + HEAD_BYTES + length);
  if (length === 0 || bytes.length < HEAD_BYTES + length || crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return;
  return {
    count: bytes.readDoubleLE(8),
    boot: bytes.toString('latin1', 16, 16 + BOOT_BYTES).replace(/\0+$/, ''),
    metas: bytes.subarray(HEAD_BYTES),
  };
}

/** Empty where the system does not tell: then each start could be the first after a power failure. */
export function bootId(): string {
  try {
    return readFileSync(BOOT_ID, 'latin1').trim();
  } catch {
    return '';
  }
}
