import { createHash } from 'node:crypto';
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { WriteOptions } from '../ports/under-store.ts';
import type { S3Calls } from './s3-client.ts';
import type { S3Options } from './s3-options.ts';
import { arrivedBefore, conditionOf, Multipart, type S3Target } from './s3-multipart.ts';

const MIB = 1 << 20;
const PART_BYTES_MIN = 8 * MIB;
const PARTS_MAX = 10_000;
const FIRST_BUFFER_BYTES = 256 * 1024;
/** Together with the part that is being filled this is what an upload holds in memory. */
const PARTS_IN_FLIGHT = 3;

export type Encryption = Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'>;

/** What is said of an object when it is made. */
export type UploadInput = S3Target & Encryption & Pick<PutObjectCommandInput, 'Metadata'>;

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
  const { size } = options;
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil((size ?? 0) / (PARTS_MAX - 1) / MIB) * MIB);
  const parts = inParts(body, partBytes, size);
  const first = await parts.next();
  const second = first.done ? first : await parts.next();
  const job = { calls, input, options };
  if (second.done) return putWhole(job, first.value ?? new Uint8Array());
  return putParts(job, [first.value ?? new Uint8Array(), second.value], parts);
}

export function encryptionOf(options: S3Options): Encryption {
  const algorithm = options.text('s3.sse') as Encryption['ServerSideEncryption'];
  const kmsKey = options.text('s3.sse-kms-key-id');
  return {
    ...(algorithm !== undefined && { ServerSideEncryption: algorithm }),
    ...(kmsKey !== undefined && { SSEKMSKeyId: kmsKey }),
  };
}

interface Job {
  readonly calls: S3Calls;
  readonly input: UploadInput;
  readonly options: WriteOptions;
}

async function putWhole({ calls, input, options }: Job, body: Uint8Array): Promise<Uploaded> {
  const put = new PutObjectCommand({ ...input, ...conditionOf(options.when), Body: body });
  const md5 = () => createHash('md5').update(body).digest('hex');
  const etag = await calls.sendSlow(put, options.signal && { abortSignal: options.signal }).then(
    (answer) => answer.ETag,
    (error: unknown) => arrivedBefore(calls, input, { error, etag: md5 }),
  );
  return { size: body.length, etag };
}

async function putParts(job: Job, begun: Uint8Array[], rest: AsyncGenerator<Uint8Array>): Promise<Uploaded> {
  const { when, signal } = job.options;
  const multipart = await Multipart.begin(job.calls, job.input, signal);
  const sending = new Set<Promise<void>>();
  let size = 0;
  try {
    let number = 0;
    for await (const part of chained(begun, rest)) {
      size += part.length;
      const sent = multipart.put(++number, part).finally(() => sending.delete(sent));
      sent.catch(() => undefined); // whoever waits for it next is told
      sending.add(sent);
      if (sending.size >= PARTS_IN_FLIGHT) await Promise.race(sending);
    }
    await Promise.all(sending);
    return { size, etag: await multipart.complete(number, when) };
  } catch (error) {
    await Promise.allSettled(sending);
    await multipart.abort();
    throw error;
  }
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
