import { randomBytes } from 'node:crypto';
import { inodeNumber, sequentialId } from '#shared/model/ids.ts';
import type { NewId } from '#shared/ports/metastore.ts';
import type { Unique } from './requests.ts';
import { RECORDS_START } from './session-memory.ts';
import { mapped } from './syscalls.ts';

const SESSION_BYTES = 8;
const IDS_AT = 64;
const ENTRY_BYTES = 16;
/** More than requests can be under way at a time. */
const ENTRIES = 32_768;
const AGAIN = '-again';

/**
 * What a session is called, and which ids its last requests have got: ids that are handed out in order do not follow from what
 * asks for them, and a request that comes again, because the process that had it died, has to know what it has made.
 */
export class KeptIds {
  readonly session: string;
  readonly #view: DataView;

  constructor(memory: number) {
    const bytes = Buffer.from(mapped(memory, 0, RECORDS_START));
    this.#view = new DataView(bytes.buffer);
    if (this.#view.getUint32(SESSION_BYTES, true) === 0) {
      randomBytes(SESSION_BYTES).copy(bytes);
      this.#view.setUint32(SESSION_BYTES, 1, true);
    }
    this.session = bytes.toString('hex', 0, SESSION_BYTES);
  }

  /** The same each time that the kernel sends it. */
  tokenOf([low, high]: Unique): string {
    const number = (high & 0x7fff_ffff) * 2 ** 32 + (low >>> 0);
    return `${this.session}-${number}`;
  }

  /** The same id for the same token, as far as it is one of this session. */
  remembering(fresh: NewId): NewId {
    return (token) => {
      const number = token === undefined ? undefined : this.#numberOf(token);
      if (number === undefined) return fresh(token);
      const at = IDS_AT + (number % ENTRIES) * ENTRY_BYTES;
      if (this.#view.getFloat64(at, true) === number) return sequentialId(this.#view.getFloat64(at + 8, true));
      const id = fresh(token);
      this.#view.setFloat64(at, 0, true);
      this.#view.setFloat64(at + 8, inodeNumber(id), true);
      this.#view.setFloat64(at, number, true);
      return id;
    };
  }

  /** The kernel numbers its requests by two, which leaves odd numbers for what is made once more. */
  #numberOf(token: string): number | undefined {
    if (!token.startsWith(`${this.session}-`)) return undefined;
    const isAgain = token.endsWith(AGAIN);
    const number = Number(token.slice(this.session.length + 1, isAgain ? -AGAIN.length : undefined));
    return number + (isAgain ? 1 : 0);
  }
}
