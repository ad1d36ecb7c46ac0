import { CopyObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import type { S3Calls } from './s3-client.ts';
import { Multipart } from './s3-multipart.ts';
import { encodeKey } from './s3-request.ts';

const PART_BYTES_MIN = 512 << 20;
const PARTS_MAX = 10_000;
const PARTS_IN_FLIGHT = 4;

export interface CopyRequest {
  readonly bucket: string;
  readonly from: string;
  readonly to: string;
  /** Instead of the original's. */
  readonly metadata?: Record<string, string>;
  /** Of the original; throws `changed` when it is another version. */
  readonly etag?: string;
  /** Encryption of the copy. */
  readonly encryption: object;
  readonly payer: { readonly RequestPayer?: 'requester' };
}

/** The server copies. One request up to 5 GiB, which is the limit of S3; above that in parts. */
export async function copyObject(calls: S3Calls, request: CopyRequest): Promise<void> {
  const { bucket, from, to, metadata, etag, encryption, payer } = request;
  const copy = new CopyObjectCommand({
    Bucket: bucket,
    Key: to,
    CopySource: `${bucket}/${encodeKey(from)}`,
    ...(etag !== undefined && { CopySourceIfMatch: `"${etag}"` }),
    ...(metadata && { MetadataDirective: 'REPLACE', Metadata: metadata }),
    ...encryption,
    ...payer,
  });
  await calls.sendSlow(copy).catch(async (error: unknown) => {
    if (!isTooLarge(error)) throw error;
    await copyInParts(calls, request);
  });
}

/** AWS calls it InvalidRequest; the check by size would cost a request for every copy. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && (error.name === 'InvalidRequest' || error.name === 'EntityTooLarge');
}

async function copyInParts(calls: S3Calls, request: CopyRequest): Promise<void> {
  const { bucket: Bucket, from, to: Key, metadata, encryption, payer } = request;
  const source = await calls.send(new HeadObjectCommand({ Bucket, Key: from, ...payer }));
  const size = source.ContentLength ?? 0;
  const type = source.ContentType === undefined ? {} : { ContentType: source.ContentType };
  const Metadata = metadata ?? source.Metadata ?? {};
  const multipart = await Multipart.begin(
    calls,
    { Bucket, Key, Metadata, ...type, ...encryption, ...payer },
    undefined,
  );
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX));
  const count = Math.max(1, Math.ceil(size / partBytes));
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < count; i = next++) {
      await multipart.copy(i + 1, {
        CopySource: `${Bucket}/${encodeKey(from)}`,
        CopySourceIfMatch: request.etag === undefined ? source.ETag : `"${request.etag}"`,
        CopySourceRange: `bytes=${i * partBytes}-${Math.min(size, (i + 1) * partBytes) - 1}`,
      });
    }
  };
  const lanes = Array.from({ length: PARTS_IN_FLIGHT }, lane);
  try {
    await Promise.all(lanes);
    await multipart.complete(count);
  } catch (error) {
    next = count; // the other lanes stop
    await Promise.allSettled(lanes);
    await multipart.abort();
    throw error;
  }
}
