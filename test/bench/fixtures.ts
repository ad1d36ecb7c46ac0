import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Server } from '../support/s3-server.ts';
import { upload } from '../support/upload.ts';

const MIB = 1 << 20;

export interface Fixtures {
  /** The same files as in the bucket, on the native file system. */
  readonly native: string;
  readonly smallNames: string;
  readonly small: number;
  readonly bigBytes: number;
  readonly bucket: string;
  /** Folders of empty files, by their count. */
  readonly many: Readonly<Record<number, { readonly folder: string; readonly names: string }>>;
}

export interface FixtureSizes {
  readonly small: number;
  readonly smallBytes: number;
  readonly bigBytes: number;
  readonly many: readonly number[];
}

/** Makes the files once per folder (they are kept between runs) and uploads them to a new bucket. */
export async function makeFixtures(folder: string, server: S3Server, sizes: FixtureSizes): Promise<Fixtures> {
  const native = join(folder, 'native');
  mkdirSync(join(native, 'small'), { recursive: true });
  const names = numbered(sizes.small);
  const smallNames = listOf(folder, 'small', names);
  const body = Buffer.allocUnsafe(sizes.smallBytes);
  for (const name of names) {
    if (existsSync(join(native, 'small', name))) continue;
    writeFileSync(join(native, 'small', name), randomFillSync(body));
  }
  makeBig(join(native, 'big.bin'), sizes.bigBytes);

  const bucket = await server.newBucket();
  await upload(server, bucket, native, [...names.map((name) => `small/${name}`), 'big.bin']);
  const many = Object.fromEntries(sizes.many.map((count) => [count, makeMany(folder, count)]));
  return { native, smallNames, small: sizes.small, bigBytes: sizes.bigBytes, bucket, many };
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `file-${String(i).padStart(7, '0')}`);
}

function listOf(folder: string, what: string, names: readonly string[]): string {
  const file = join(folder, `${what}.names`);
  writeFileSync(file, names.join('\n'));
  return file;
}

function makeMany(folder: string, count: number) {
  const directory = join(folder, `many-${count}`);
  const names = numbered(count);
  mkdirSync(directory, { recursive: true });
  for (const name of names) closeSync(openSync(join(directory, name), 'a'));
  return { folder: directory, names: listOf(folder, `many-${count}`, names) };
}

function makeBig(file: string, bytes: number): void {
  if (existsSync(file)) return;
  const block = Buffer.allocUnsafe(MIB);
  const fd = openSync(file, 'w');
  for (let at = 0; at < bytes; at += MIB) writeSync(fd, randomFillSync(block));
  closeSync(fd);
}
