import { PutObjectCommand } from '@aws-sdk/client-s3';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { S3Server } from './s3-server.ts';

const UPLOADS_IN_FLIGHT = 16;

/** Puts files into a bucket, as any program does that knows nothing of Leat. */
export async function upload(server: S3Server, bucket: string, root: string, keys: Iterable<string>): Promise<void> {
  const rest = keys[Symbol.iterator]();
  const lane = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) {
      // Whole, because not every server knows the checksums that the SDK puts behind a stream.
      const Body = await readFile(join(root, next.value));
      await server.client.send(new PutObjectCommand({ Bucket: bucket, Key: next.value, Body }));
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_IN_FLIGHT }, lane));
}
