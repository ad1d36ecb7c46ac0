import { invariant, isFault, LeatError } from '../model/faults.ts';
import type { Fingerprint } from '../model/inode.ts';
import { partRange, partsOf } from '../ports/object-parts.ts';
import type { FinishOptions, ObjectUpload, PartBody, StoreEntry, WriteOptions } from '../ports/under-store.ts';
import { LaidParts } from './laid-parts.ts';
import { s3Fault } from './s3-faults.ts';
import type { Multipart, S3Target } from './s3-multipart.ts';
import { encodeKey } from './s3-request.ts';

interface S3ObjectUploadOptions {
  readonly multipart: Multipart;
  readonly target: S3Target;
  readonly base: Fingerprint | undefined;
  /** Says of what fails which object it was. */
  readonly attempt: <Result>(act: () => Promise<Result>) => Promise<Result>;
  readonly there: () => Promise<StoreEntry | undefined>;
  readonly shown: (size: number, etag: string | undefined) => Promise<StoreEntry>;
}

/** The port's upload, as a multipart upload. */
export class S3ObjectUpload implements ObjectUpload {
  readonly id: string;
  readonly #options: S3ObjectUploadOptions;
  readonly #parts = new LaidParts();
  #isOver = false;

  constructor(options: S3ObjectUploadOptions) {
    this.id = options.multipart.id;
    this.#options = options;
  }

  async put(part: number, body: PartBody): Promise<void> {
    await this.#options.attempt(() => this.#options.multipart.put(part, body));
    this.#parts.laid(part, body.length);
  }

  async copy(part: number, length: number): Promise<void> {
    const { multipart, target, base, attempt } = this.#options;
    invariant(base !== undefined, 'an upload copies from a base that it was told of');
    const { offset } = partRange(part);
    await attempt(() =>
      multipart
        .copy(part, {
          CopySource: `${target.Bucket}/${encodeKey(target.Key)}`,
          CopySourceIfMatch: `"${base}"`,
          CopySourceRange: `bytes=${offset}-${offset + length - 1}`,
        })
        .catch((error: unknown) => this.#throwIfChanged(error)),
    );
    this.#parts.laid(part, length);
  }

  async finish({ size, when }: FinishOptions): Promise<StoreEntry> {
    const { multipart, target, attempt, shown } = this.#options;
    return attempt(async () => {
      if (size === 0) await this.#putNothing();
      this.#parts.demandWhole(size);
      const etag = await multipart
        .complete(Math.max(1, partsOf(size)), when)
        .catch((error: unknown) => throwRefusal(error, target, when));
      this.#isOver = true;
      return shown(size, etag);
    });
  }

  async abort(): Promise<void> {
    if (!this.#isOver) await this.#options.multipart.abort();
    this.#isOver = true;
  }

  /** Servers differ in what they say of a range that another version does not have. */
  async #throwIfChanged(error: unknown): Promise<never> {
    const { target, base, there } = this.#options;
    if (isFault(s3Fault(error, ''), 'invalid', 'notFound') && (await there())?.fingerprint !== base)
      throw new LeatError('changed', `${nameOf(target)}: another version, or removed`, { cause: error });
    throw error;
  }

  /** S3 wants at least one part. */
  async #putNothing(): Promise<void> {
    await this.#options.multipart.put(1, new Uint8Array());
  }
}

/** What S3 answers when a condition does not hold: 412 for all, but 404 for a version of what is gone. */
export function throwRefusal(error: unknown, target: S3Target, when: WriteOptions['when']): never {
  if (when === 'absent' && s3Fault(error, '').kind === 'changed')
    throw new LeatError('exists', `${nameOf(target)}: exists`, { cause: error });
  const isGone = error instanceof Error && error.name === 'NoSuchKey';
  if (when !== undefined && when !== 'absent' && isGone)
    throw new LeatError('changed', `${nameOf(target)}: the object has been removed`, { cause: error });
  throw error;
}

const nameOf = ({ Bucket, Key }: S3Target): string => `s3://${Bucket}/${Key}`;
