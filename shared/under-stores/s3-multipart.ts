import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  HeadObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type UploadPartCopyCommandInput,
} from '@aws-sdk/client-s3';
import { LeatError } from '../model/faults.ts';
import type { PartBody, WriteOptions } from '../ports/under-store.ts';
import type { S3Calls } from './s3-client.ts';
import { isRefused, s3Fault } from './s3-faults.ts';

const ABORTS_MAX = 5;
/** So long a server may be busy yet with a part of which it has got all bytes. */
const ARRIVAL_MS = 200;

/** Where an object lies, as every request names it. */
export interface S3Target {
  readonly Bucket: string;
  readonly Key: string;
  readonly RequestPayer?: 'requester';
}

type Source = Pick<UploadPartCopyCommandInput, 'CopySource' | 'CopySourceIfMatch' | 'CopySourceRange'>;
type Condition = Pick<CompleteMultipartUploadCommandInput, 'IfMatch' | 'IfNoneMatch'>;

/** A multipart upload under way. */
export class Multipart {
  readonly id: string;
  readonly #calls: S3Calls;
  readonly #target: S3Target & { readonly UploadId: string };
  readonly #signal: { readonly abortSignal?: AbortSignal };
  readonly #parts: CompletedPart[] = [];
  /** There is a part of which no answer came. */
  #mayArrive = false;

  private constructor(
    calls: S3Calls,
    target: S3Target & { readonly UploadId: string },
    signal: AbortSignal | undefined,
  ) {
    this.id = target.UploadId;
    this.#calls = calls;
    this.#target = target;
    this.#signal = signal ? { abortSignal: signal } : {};
  }

  static async begin(
    calls: S3Calls,
    input: S3Target & CreateMultipartUploadCommandInput,
    signal: AbortSignal | undefined,
  ): Promise<Multipart> {
    const { Bucket, Key, RequestPayer } = input;
    // Not interrupted: an upload whose id nobody has been told could not be aborted.
    const { UploadId = '' } = await calls.send(new CreateMultipartUploadCommand(input));
    const multipart = new Multipart(calls, { Bucket, Key, UploadId, ...(RequestPayer && { RequestPayer }) }, signal);
    if (!signal?.aborted) return multipart;
    await multipart.abort();
    throw new LeatError('interrupted', `s3://${Bucket}/${Key}: its upload was interrupted`);
  }

  async put(PartNumber: number, body: PartBody): Promise<void> {
    const part = { ...this.#target, PartNumber };
    const { ETag } = await this.#answered(
      body instanceof Uint8Array
        ? this.#calls.sendSlow(new UploadPartCommand({ ...part, Body: body }), this.#signal)
        : this.#calls.sendPieces(
            (Body) => new UploadPartCommand({ ...part, Body, ContentLength: body.length }),
            body,
            this.#signal.abortSignal,
          ),
    );
    this.#parts[PartNumber - 1] = { PartNumber, ETag };
  }

  async copy(PartNumber: number, source: Source): Promise<void> {
    const part = new UploadPartCopyCommand({ ...this.#target, PartNumber, ...source });
    const { CopyPartResult } = await this.#answered(this.#calls.sendSlow(part, this.#signal));
    this.#parts[PartNumber - 1] = { PartNumber, ETag: CopyPartResult?.ETag };
  }

  /** The first `count` parts become the object. */
  async complete(count: number, when?: WriteOptions['when']): Promise<string | undefined> {
    const parts = this.#parts.slice(0, count);
    if (parts.filter(Boolean).length < count) throw new Error('a part of the upload was lost');
    const complete = new CompleteMultipartUploadCommand({
      ...this.#target,
      ...conditionOf(when),
      MultipartUpload: { Parts: parts },
    });
    return this.#calls.sendSlow(complete, this.#signal).then(
      (answer) => answer.ETag,
      (error: unknown) => arrivedBefore(this.#calls, this.#target, { error, etag: () => etagOfParts(parts) }),
    );
  }

  /**
   * A part that was cut off may arrive afterwards, and brings the upload back then: so it is aborted until it has stayed away. When that
   * fails, the bucket's lifecycle rule is the last resort.
   */
  async abort(): Promise<void> {
    const abort = () => abortMultipart(this.#calls, this.#target).catch(() => false);
    await abort();
    for (let tries = 1; this.#mayArrive && tries < ABORTS_MAX; tries++) {
      await sleep(ARRIVAL_MS);
      this.#mayArrive = await abort();
    }
  }

  async #answered<Answer>(answer: Promise<Answer>): Promise<Answer> {
    try {
      return await answer;
    } catch (error) {
      this.#mayArrive ||= !isRefused(error);
      throw error;
    }
  }
}

/** Also of an upload that has ended; false: there was none. */
export async function abortMultipart(
  calls: S3Calls,
  { Bucket, Key, RequestPayer, UploadId }: S3Target & { readonly UploadId: string },
): Promise<boolean> {
  const target = { Bucket, Key, UploadId, ...(RequestPayer && { RequestPayer }) };
  return calls.send(new AbortMultipartUploadCommand(target)).then(
    () => true,
    (error: unknown) => {
      if (!isNamed(error, 'NoSuchUpload')) throw error;
      return false;
    },
  );
}

export function conditionOf(when: WriteOptions['when']): Condition {
  if (when === undefined) return {};
  return when === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: `"${when}"` };
}

/**
 * A request that was tried again may be refused because its first try, whose answer was lost, has done it: then the object
 * there is ours. Only servers whose ETags are MD5s can tell.
 */
export async function arrivedBefore(
  calls: S3Calls,
  { Bucket, Key, RequestPayer }: S3Target,
  { error, etag }: { readonly error: unknown; readonly etag: () => string },
): Promise<string> {
  if (s3Fault(error, '').kind !== 'changed' && !isNamed(error, 'NoSuchUpload')) throw error;
  const head = new HeadObjectCommand({ Bucket, Key, ...(RequestPayer && { RequestPayer }) });
  const there = await calls.send(head).catch(() => undefined);
  if (there?.ETag?.replaceAll('"', '') !== etag()) throw error;
  return etag();
}

const isNamed = (error: unknown, name: string): boolean => error instanceof Error && error.name === name;

/** As S3 makes it: the MD5 of the parts' MD5s, and their number. */
function etagOfParts(parts: readonly CompletedPart[]): string {
  const hash = createHash('md5');
  for (const { ETag = '' } of parts) hash.update(ETag.replaceAll('"', ''), 'hex');
  return `${hash.digest('hex')}-${parts.length}`;
}
