import { PutObjectCommand } from '@aws-sdk/client-s3';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Server } from './s3-server.ts';

const UPLOADS_IN_FLIGHT = 16;

/** Puts files into a bucket, as any program does that knows nothing of Leat. */
export async function upload(server: S3Server, bucket: string, root: string, keys: Iterable<string>): Promise<void> {
  const rest = keys[Symbol.iterator]();
  const lane = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) {
      const file = join(root, next.value);
      const object = { Bucket: bucket, Key: next.value, ContentLength: statSync(file).size };
      await server.client.send(new PutObjectCommand({ ...object, Body: createReadStream(file) }));
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_IN_FLIGHT }, lane));
}
