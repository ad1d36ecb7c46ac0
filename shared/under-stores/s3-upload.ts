import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { WriteOptions } from '../ports/under-store.ts';
import type { S3Calls } from './s3-client.ts';
import { s3Fault } from './s3-faults.ts';

const MIB = 1 << 20;
const PART_BYTES_MIN = 8 * MIB;
const PARTS_MAX = 10_000;
const FIRST_BUFFER_BYTES = 256 * 1024;
/** Together with the part that is being filled this is what an upload holds in memory. */
const PARTS_IN_FLIGHT = 3;

type UploadInput = PutObjectCommandInput & { readonly Bucket: string; readonly Key: string };

export interface Uploaded {
  readonly size: number;
  readonly etag: string | undefined;
}

/** One PUT for what fits into one part, a multipart upload for the rest. */
export async function upload(
  calls: S3Calls,
  input: UploadInput,
  { body, options }: { readonly body: AsyncIterable<Uint8Array>; readonly options: WriteOptions },
): Promise<Uploaded> {
  const { size, signal } = options;
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil((size ?? 0) / (PARTS_MAX - 1) / MIB) * MIB);
  const parts = inParts(body, partBytes, size);
  const first = await parts.next();
  const second = first.done ? first : await parts.next();
  const job = { calls, input, condition: conditionOf(options), abort: signal ? { abortSignal: signal } : {} };
  if (second.done) return putWhole(job, first.value ?? new Uint8Array());
  return putParts(job, [first.value ?? new Uint8Array(), second.value], parts);
}

interface Job {
  readonly calls: S3Calls;
  readonly input: UploadInput;
  readonly condition: { readonly IfNoneMatch?: string; readonly IfMatch?: string };
  readonly abort: { readonly abortSignal?: AbortSignal };
}

function conditionOf({ when }: WriteOptions): Job['condition'] {
  if (when === undefined) return {};
  return when === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: `"${when}"` };
}

async function putWhole(job: Job, body: Uint8Array): Promise<Uploaded> {
  const { calls, input, condition, abort } = job;
  const put = new PutObjectCommand({ ...input, ...condition, Body: body });
  const md5 = () => createHash('md5').update(body).digest('hex');
  const ETag = await calls.sendSlow(put, abort).then(
    (answer) => answer.ETag,
    (error: unknown) => arrivedBefore(job, error, md5),
  );
  return { size: body.length, etag: ETag };
}

async function putParts(job: Job, begun: Uint8Array[], rest: AsyncGenerator<Uint8Array>): Promise<Uploaded> {
  const { calls, input, condition, abort } = job;
  const { UploadId } = await calls.send(new CreateMultipartUploadCommand(input), abort);
  const { Bucket, Key, RequestPayer } = input;
  const target = { Bucket, Key, UploadId, ...(RequestPayer && { RequestPayer }) };
  const sending = new Set<Promise<void>>();
  const done: CompletedPart[] = [];
  let size = 0;
  const send = async (Body: Uint8Array, PartNumber: number) => {
    const { ETag } = await calls.sendSlow(new UploadPartCommand({ ...target, PartNumber, Body }), abort);
    done[PartNumber - 1] = { PartNumber, ETag };
  };
  try {
    let number = 0;
    for await (const part of chained(begun, rest)) {
      size += part.length;
      const sent = send(part, ++number).finally(() => sending.delete(sent));
      sent.catch(() => undefined); // whoever waits for it next is told
      sending.add(sent);
      if (sending.size >= PARTS_IN_FLIGHT) await Promise.race(sending);
    }
    await Promise.all(sending);
    if (done.filter(Boolean).length < number) throw new Error('a part of the upload was lost');
    const complete = new CompleteMultipartUploadCommand({
      ...target,
      ...condition,
      MultipartUpload: { Parts: done },
    });
    const etag = await calls.sendSlow(complete, abort).then(
      (answer) => answer.ETag,
      (error: unknown) => arrivedBefore(job, error, () => etagOfParts(done)),
    );
    return { size, etag };
  } catch (error) {
    await Promise.allSettled(sending);
    await calls.send(new AbortMultipartUploadCommand(target)).catch(() => undefined); // the bucket's lifecycle rule is the last resort
    throw error;
  }
}

/**
 * A request that was tried again may be refused because its first try, whose answer was lost, has done it: then the object
 * there is ours. Only servers whose ETags are MD5s can tell.
 */
async function arrivedBefore({ calls, input }: Job, error: unknown, etag: () => string): Promise<string> {
  const { kind } = s3Fault(error, '');
  const { Bucket, Key, RequestPayer } = input;
  if (kind !== 'changed' && !(error instanceof Error && error.name === 'NoSuchUpload')) throw error;
  const head = new HeadObjectCommand({ Bucket, Key, ...(RequestPayer && { RequestPayer }) });
  const there = await calls.send(head).catch(() => undefined);
  if (there?.ETag?.replaceAll('"', '') !== etag()) throw error;
  return etag();
}

/** As S3 makes it: the MD5 of the parts' MD5s, and their number. */
function etagOfParts(parts: readonly CompletedPart[]): string {
  const hash = createHash('md5');
  for (const { ETag = '' } of parts) hash.update(ETag.replaceAll('"', ''), 'hex');
  return `${hash.digest('hex')}-${parts.length}`;
}

async function* chained(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}

/** Pieces of any size become parts of one. A small body takes no more memory than it needs. */
async function* inParts(
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
  size: number | undefined,
): AsyncGenerator<Uint8Array, undefined> {
  const firstBytes = Math.min(partBytes, size === undefined ? FIRST_BUFFER_BYTES : Math.max(1, size));
  let part: Uint8Array = Buffer.allocUnsafeSlow(firstBytes);
  let filled = 0;
  for await (const piece of body) {
    for (let at = 0; at < piece.length;) {
      const taken = piece.subarray(at, at + partBytes - filled);
      if (filled + taken.length > part.length) part = grown(part, filled, { needed: filled + taken.length, partBytes });
      part.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < partBytes) continue;
      yield part;
      part = Buffer.allocUnsafeSlow(partBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
  return undefined;
}

function grown(part: Uint8Array, filled: number, to: { needed: number; partBytes: number }): Uint8Array {
  const larger = Buffer.allocUnsafeSlow(Math.min(to.partBytes, Math.max(to.needed, part.length * 2)));
  larger.set(part.subarray(0, filled));
  return larger;
}
