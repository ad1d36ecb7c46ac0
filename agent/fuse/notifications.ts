import { write } from 'node:fs';
import type { Notice } from './invalidation.ts';
import { Notify, OUT_HEADER } from './protocol.ts';

const QUEUE_MAX = 10_000;

/**
 * Tells the kernel what it must forget. A notification may wait for a lock whose holder waits for a reply of ours, so they are
 * written one at a time on a thread of libuv's pool, which nobody who replies ever waits for.
 */
export class Notifications {
  readonly #fd: number;
  readonly #onOverflow: () => void;
  readonly #queue: Buffer[] = [];
  #isWriting = false;

  constructor(fd: number, onOverflow: () => void) {
    this.#fd = fd;
    this.#onOverflow = onOverflow;
  }

  push(notice: Notice): void {
    if (this.#queue.length >= QUEUE_MAX) {
      this.#onOverflow(); // the lease bounds how long the kernel may be wrong
      return;
    }
    this.#queue.push('entry' in notice ? entryMessage(notice.entry) : attributesMessage(notice.attributes));
    if (!this.#isWriting) this.#next();
  }

  #next(): void {
    const message = this.#queue.shift();
    this.#isWriting = message !== undefined;
    if (message) write(this.#fd, message, 0, message.length, null, () => this.#next()); // ENOENT: it knew nothing of it
  }
}

function entryMessage({ parent, name }: Extract<Notice, { readonly entry: object }>['entry']): Buffer {
  const message = header(Notify.INVAL_ENTRY, 16 + name.length + 1);
  message.writeBigUInt64LE(BigInt(parent), OUT_HEADER);
  message.writeUInt32LE(name.length, OUT_HEADER + 8);
  message.write(name, OUT_HEADER + 16, 'latin1');
  return message;
}

/** Attributes only: the pages of a node never change. */
function attributesMessage(node: number): Buffer {
  const message = header(Notify.INVAL_INODE, 24);
  message.writeBigUInt64LE(BigInt(node), OUT_HEADER);
  message.writeBigInt64LE(-1n, OUT_HEADER + 8);
  return message;
}

function header(code: number, payload: number): Buffer {
  const message = Buffer.alloc(OUT_HEADER + payload);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}
