import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Versions, versionsOf } from './blocks.ts';
import { Ledger } from './ledger.ts';
import type { S3Server } from './s3-server.ts';

const WRITER = new URL('./block-writer.ts', import.meta.url).pathname;

export interface Writing {
  readonly ledger: Ledger;
  /** It has begun to write. */
  readonly begun: Promise<unknown>;
  /** What it fails with, when the mount dies below it. */
  complaint(): string;
  /** With −9; resolves when all it has said is noted. */
  kill(): Promise<void>;
}

/** Starts a writer of blocks, and keeps book of what it says. */
export function startWriting(folder: string, seed: number): Writing {
  const child = spawn(process.execPath, [WRITER, folder, String(seed)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ledger = new Ledger();
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => ledger.note(line));
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const begun = once(lines, 'line');
  const ended = once(lines, 'close');
  return {
    ledger,
    begun,
    complaint: () => complaint,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The files of a folder, as versions of their blocks. */
export async function filesIn(folder: string): Promise<Map<string, Versions>> {
  const names = (await readdir(folder)).toSorted();
  const files = await Promise.all(
    names.map(async (name) => [name, versionsOf(await readFile(join(folder, name)))] as const),
  );
  return new Map(files);
}

/** The objects below a prefix, in the same form. One that goes meanwhile is left out. */
export async function objectsIn(server: S3Server, bucket: string, prefix: string): Promise<Map<string, Versions>> {
  const { Contents = [] } = await server.client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  const objects = new Map<string, Versions>();
  for (const { Key = '' } of Contents) {
    const object = await server.client.send(new GetObjectCommand({ Bucket: bucket, Key })).catch(() => undefined);
    const bytes = await object?.Body?.transformToByteArray();
    if (bytes && Key !== prefix) objects.set(Key.slice(prefix.length), versionsOf(Buffer.from(bytes)));
  }
  return objects;
}
