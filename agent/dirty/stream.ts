import { createHash } from 'node:crypto';
import { inLanes } from '#shared/namespace/lanes.ts';
import { partAt, partRange, partWithin } from '#shared/ports/object-parts.ts';
import type { ObjectUpload, PartSource, StoreAttributes, StoreEntry } from '#shared/ports/under-store.ts';
import { type Place, rangeSource } from './part-source.ts';
import { type FileUpload, finishParts, uploadFile, type UploadWatch } from './upload.ts';

/** Files that stay smaller are sent when they are closed: most are closed before a stream would be worth its requests. */
export const STREAM_BYTES_MIN = 32 << 20;
const PARTS_IN_FLIGHT = 2;

export interface StreamOptions extends Omit<Place, 'signal'>, UploadWatch {
  readonly fd: number;
  /** As they are now: S3 takes them when an upload begins. */
  readonly attributes: StoreAttributes;
  /** Writes may go past whoever tells of them (passthrough): in the end what was sent is compared with the file. */
  readonly isBlind?: boolean;
}

interface Sending {
  /** Rewritten since. */
  isStale: boolean;
  done: Promise<void>;
}

/**
 * An upload that follows a file while it is written, so that little is left to be sent when it is closed. It helps and no more: when it
 * fails, or does not fit in the end, the whole file is uploaded. What is rewritten is not sent again before the end.
 */
export class UploadStream {
  readonly #options: StreamOptions;
  readonly #stop = new AbortController();
  #begun: Promise<ObjectUpload> | undefined;
  #isFollowing = true;
  #hasFailed = false;
  /** The file has been written up to here, and in whole parts up to this one. */
  #grownTo = 0;
  #whole = 0;
  #next = 1;
  readonly #sending = new Map<number, Sending>();
  /** The parts that the store has got, and what they were. */
  readonly #laid = new Map<number, string | undefined>();

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /**
   * The bytes below `to` have been written, and will probably stay as they are: from now on `rewritten` tells of each write below. Tell of
   * no more than the writer knows that he has told of, for the size of the file may be ahead of him.
   */
  grown(to: number): void {
    if (to <= this.#grownTo) return;
    this.rewritten(this.#grownTo, to);
    this.#grownTo = to;
    this.#whole = partAt(to) - 1;
    if (to >= STREAM_BYTES_MIN) this.#pump();
  }

  /** Bytes below the former end were written once more. */
  rewritten(from: number, to: number): void {
    for (let part = partAt(from); part < this.#next && partRange(part).offset < to; part++) {
      this.#laid.delete(part);
      const sending = this.#sending.get(part);
      if (sending) sending.isStale = true;
    }
  }

  /** The file ends here now. */
  cut(to: number): void {
    if (to >= this.#grownTo) return;
    this.rewritten(to, this.#grownTo);
    this.#grownTo = to;
    this.#whole = partAt(to) - 1;
    this.#next = Math.min(this.#next, this.#whole + 1);
  }

  /** As `uploadFile`; the stream is over then, whatever comes of it. */
  async finish(job: FileUpload): Promise<StoreEntry> {
    const { store, key } = this.#options;
    const stop = () => this.#stop.abort();
    job.signal?.addEventListener('abort', stop);
    if (job.signal?.aborted) stop();
    try {
      const upload = await this.#end();
      const isUsable = !this.#hasFailed && job.store === store && job.key === key && !job.content.base;
      return await uploadFile(job, upload && isUsable ? () => this.#finish(upload, job) : undefined);
    } finally {
      job.signal?.removeEventListener('abort', stop);
      await this.abort();
    }
  }

  /** Leaves nothing in the store. */
  async abort(): Promise<void> {
    this.#stop.abort();
    const upload = await this.#end();
    if (!upload) return;
    await upload.abort();
    this.#begun = undefined;
    this.#options.over?.(upload.id);
  }

  async #finish(upload: ObjectUpload, job: FileUpload): Promise<StoreEntry> {
    if (this.#options.isBlind) await this.#compare();
    const isWhole = (part: number) => partWithin(part, job.content.size).length === partRange(part).length;
    const entry = await finishParts(upload, job, (part) => this.#laid.has(part) && isWhole(part));
    const { store, key, attributes } = this.#options;
    return isOutdated(attributes, job.attributes, entry) ? store.setAttributes(key, job.attributes) : entry;
  }

  /** What is on its way arrives, or fails; nothing more follows. */
  async #end(): Promise<ObjectUpload | undefined> {
    this.#isFollowing = false;
    await Promise.all([...this.#sending.values()].map(({ done }) => done));
    return this.#begun?.catch(() => undefined);
  }

  #pump(): void {
    for (; this.#isFollowing && this.#sending.size < PARTS_IN_FLIGHT && this.#next <= this.#whole; this.#next++) {
      if (!this.#sending.has(this.#next)) this.#send(this.#next); // else it was cut off on its way: it is sent in the end
    }
  }

  #send(part: number): void {
    const sending: Sending = { isStale: false, done: Promise.resolve() };
    this.#sending.set(part, sending);
    const sent = (sum: string | undefined) => {
      if (!sending.isStale) this.#laid.set(part, sum);
    };
    const failed = () => {
      this.#isFollowing = false;
      this.#hasFailed = true;
    };
    sending.done = this.#put(part)
      .then(sent, failed)
      .finally(() => {
        this.#sending.delete(part);
        this.#pump();
      });
  }

  async #put(part: number): Promise<string | undefined> {
    const upload = await (this.#begun ??= this.#begin());
    const source = this.#source(part);
    if (!this.#options.isBlind) return upload.put(part, source).then(() => undefined);
    const summed = new Summed(source);
    await upload.put(part, summed);
    return summed.sum;
  }

  async #begin(): Promise<ObjectUpload> {
    const { store, key, attributes, begun } = this.#options;
    const upload = await store.upload(key, { attributes, signal: this.#stop.signal });
    begun?.(upload.id);
    return upload;
  }

  #source(part: number): PartSource {
    return rangeSource(this.#options, this.#options, partRange(part));
  }

  async #compare(): Promise<void> {
    await inLanes([...this.#laid], PARTS_IN_FLIGHT, async ([part, sum]) => {
      const now = new Summed(this.#source(part));
      for await (const _ of now.pieces());
      if (now.sum !== sum) this.#laid.delete(part);
    });
  }
}

/** The time of a file that was only written goes on with the writing, and may lag behind; one that was set back has been set by hand. */
function isOutdated(first: StoreAttributes, last: StoreAttributes, kept: StoreAttributes): boolean {
  const isOther = (name: 'mode' | 'uid' | 'gid') => last[name] !== undefined && kept[name] !== last[name];
  const isSetBack = last.mtime !== undefined && first.mtime !== undefined && last.mtime < first.mtime;
  return isOther('mode') || isOther('uid') || isOther('gid') || (isSetBack && kept.mtime !== last.mtime);
}

/** A part, and the sum of what was last sent of it. */
class Summed implements PartSource {
  readonly length: number;
  readonly #source: PartSource;
  sum: string | undefined;

  constructor(source: PartSource) {
    this.length = source.length;
    this.#source = source;
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    let left = this.length;
    for await (const piece of this.#source.pieces()) {
      hash.update(piece);
      left -= piece.length;
      // Who has got all bytes needs not ask for more.
      if (left === 0) this.sum = hash.digest('hex');
      yield piece;
    }
  }
}
