import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fromMetadata } from '#shared/under-stores/s3-attributes.ts';
import type { S3Server } from './s3-server.ts';

/** The regular files of a tree: a digest of each. */
export type Contents = Readonly<Record<string, string>>;

export async function contentsOfFolder(folder: string): Promise<Contents> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const digests = files.map(async (file) => [relative(folder, file), digest(await readFile(file))] as const);
  return Object.fromEntries(await Promise.all(digests));
}

/** How the files of a store differ from those of a folder. Of several hard links one is enough: a store has the file once. */
export async function storedOtherwise(stored: Contents, folder: string): Promise<string[]> {
  const wanted = await contentsOfFolder(folder);
  const files = Object.keys(wanted);
  const inodes = new Map(
    await Promise.all(files.map(async (name) => [name, (await stat(join(folder, name))).ino] as const)),
  );
  const linksOf = (name: string) => files.filter((each) => inodes.get(each) === inodes.get(name));
  const missing = files.filter((name) => !linksOf(name).some((link) => stored[link] === wanted[name]));
  const strays = Object.keys(stored).filter((name) => stored[name] !== wanted[name]);
  return [...missing, ...strays].map((name) => `${name} is ${stored[name]}, but should be ${wanted[name]}`);
}

/** An object that ends with a slash, or is marked as a symlink, is no regular file. */
export async function contentsOfBucket(server: S3Server, bucket: string, prefix: string): Promise<Contents> {
  const { Contents = [] } = await server.client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  const found: Record<string, string> = {};
  for (const { Key = '' } of Contents.filter((object) => !object.Key?.endsWith('/'))) {
    const object = await server.client.send(new GetObjectCommand({ Bucket: bucket, Key })).catch(() => undefined);
    const bytes = await object?.Body?.transformToByteArray();
    if (bytes && fromMetadata(object?.Metadata ?? {}).kind === 'file') found[Key.slice(prefix.length)] = digest(bytes);
  }
  return found;
}

function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha1').update(bytes).digest('hex').slice(0, 12)}`;
}
