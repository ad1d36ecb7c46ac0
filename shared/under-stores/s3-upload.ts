import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CompletedPart,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { WriteOptions } from '../ports/under-store.ts';

const MIB = 1 << 20;
const SINGLE_BYTES_MAX = 8 * MIB;
const PART_BYTES_MIN = 8 * MIB;
const PARTS_MAX = 10_000;

/** One PUT for what fits into one part, a multipart upload for the rest; one part is in memory at a time. Answers the ETag. */
export async function upload(
  client: S3Client,
  input: PutObjectCommandInput,
  body: AsyncIterable<Uint8Array>,
  { size, when, signal }: WriteOptions,
): Promise<string | undefined> {
  const condition = when === undefined ? {} : when === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: `"${when}"` };
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil((size ?? 0) / (PARTS_MAX - 1) / MIB) * MIB);
  const options = signal ? { abortSignal: signal } : {};
  const parts = inParts(body, size !== undefined && size > SINGLE_BYTES_MAX ? partBytes : SINGLE_BYTES_MAX);
  const first = await parts.next();
  const second = first.done ? first : await parts.next();
  if (second.done) {
    const answer = await client.send(
      new PutObjectCommand({ ...input, ...condition, Body: first.done ? new Uint8Array() : first.value }),
      options,
    );
    return answer.ETag;
  }
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand(input as object as { Bucket: string; Key: string }),
    options,
  );
  const target = { Bucket: input.Bucket, Key: input.Key, UploadId };
  try {
    const done: CompletedPart[] = [];
    const send = async (Body: Uint8Array) => {
      const PartNumber = done.length + 1;
      const { ETag } = await client.send(new UploadPartCommand({ ...target, PartNumber, Body }), options);
      done.push({ PartNumber, ETag });
    };
    await send(first.value as Uint8Array);
    await send(second.value);
    for await (const part of parts) await send(part);
    const answer = await client.send(
      new CompleteMultipartUploadCommand({ ...target, ...condition, MultipartUpload: { Parts: done } }),
      options,
    );
    return answer.ETag;
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand(target)).catch(() => undefined); // the bucket's lifecycle rule is the last resort
    throw error;
  }
}

async function* inParts(body: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array, undefined> {
  let part = new Uint8Array(partBytes);
  let filled = 0;
  for await (const piece of body) {
    for (let at = 0; at < piece.length;) {
      const taken = piece.subarray(at, at + partBytes - filled);
      part.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < partBytes) continue;
      yield part;
      part = new Uint8Array(partBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
  return undefined;
}
