import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoreKey } from '../model/inode.ts';
import type { UnderStore } from '../ports/under-store.ts';
import { nameNew } from './local-files.ts';
import { localUnderStore } from './local.ts';

const key = (text: string) => text as StoreKey;
const anything = { offset: 0, length: 100 };
const ignore = () => {};

async function* body(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

let folder: string;
let root: string;
let store: UnderStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'leat-folder-'));
  root = join(folder, 'root');
  mkdirSync(root);
  store = localUnderStore({ root });
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('what lies outside of the folder', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'outside'));
    writeFileSync(join(folder, 'outside', 'secret'), 'secret');
    symlinkSync('../outside', join(root, 'way'));
    symlinkSync('../outside/secret', join(root, 'link'));
    writeFileSync(join(root, 'inside'), 'inside');
  });

  it('is not seen through a symlink', async () => {
    expect(await store.stat(key('way/secret'))).toBeUndefined();
    expect(await store.list(key('way'))).toEqual({ entries: [], unnameable: 0 });
    await expect(store.read(key('way/secret'), anything, ignore)).rejects.toMatchObject({ kind: 'notDirectory' });
    await expect(store.read(key('link'), anything, ignore)).rejects.toMatchObject({ kind: 'invalid' });
    await expect(store.copy(key('way/secret'), key('copy'))).rejects.toMatchObject({ kind: 'notDirectory' });
  });

  it('is not changed through a symlink', async () => {
    const refused = { kind: 'notDirectory' };
    await expect(store.write(key('way/new'), body('x'))).rejects.toMatchObject(refused);
    await expect(store.write(key('way/deep/new'), body('x'))).rejects.toMatchObject(refused);
    await expect(store.makeDirectory(key('way/new'))).rejects.toMatchObject(refused);
    await expect(store.makeSymlink(key('way/new'), 'x')).rejects.toMatchObject(refused);
    await expect(store.copy(key('inside'), key('way/new'))).rejects.toMatchObject(refused);
    await expect(store.move(key('inside'), key('way/new'))).rejects.toMatchObject(refused);
    await expect(store.setAttributes(key('way/secret'), { mode: 0o777 })).rejects.toMatchObject(refused);
    await store.remove(key('way/secret'), 'file');
    await store.setAttributes(key('link'), { mode: 0o777, mtime: 1_000_000_000n });
    expect(readdirSync(join(folder, 'outside'))).toEqual(['secret']);
    expect(await localUnderStore({ root: join(folder, 'outside') }).stat(key('secret'))).not.toMatchObject({
      mode: 0o777,
    });
  });

  it('is not reached by writing to a symlink, which is replaced', async () => {
    await store.write(key('link'), body('mine'));
    expect(readFileSync(join(folder, 'outside', 'secret'), 'utf8')).toBe('secret');
    expect(readFileSync(join(root, 'link'), 'utf8')).toBe('mine');
  });
});

describe('a folder', () => {
  it('that is missing is unavailable, never empty', async () => {
    rmSync(root, { recursive: true });
    const refused = { kind: 'unavailable', message: expect.stringContaining('is its disk or NAS mounted?') as unknown };
    await expect(store.stat(key(''))).rejects.toMatchObject(refused);
    await expect(store.list(key(''))).rejects.toMatchObject(refused);
    await expect(store.read(key('a'), anything, ignore)).rejects.toMatchObject(refused);
    await expect(store.write(key('a'), body('x'))).rejects.toMatchObject(refused);
    await expect(store.remove(key('a'), 'file')).rejects.toMatchObject(refused);
    expect(existsSync(root)).toBe(false);
  });

  it('does not show uploads under way, and leaves none behind', async () => {
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half');
      begun.resolve();
      await go.promise;
    }
    const writing = store.write(key('d/a'), slow());
    await begun.promise;
    expect(readdirSync(join(root, 'd'))).toHaveLength(1);
    expect((await store.list(key('d'))).entries).toEqual([]);
    go.resolve();
    await writing;
    expect(readdirSync(join(root, 'd'))).toEqual(['a']);
  });

  it('does not wait for the other end of a fifo, nor show it', async () => {
    execFileSync('mkfifo', [join(root, 'fifo')]);
    expect((await store.list(key(''))).entries).toEqual([]);
    expect(await store.stat(key('fifo'))).toBeUndefined();
    await expect(store.read(key('fifo'), anything, ignore)).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('tells files, directories and what is in the way apart', async () => {
    await store.write(key('file'), body('x'));
    await store.makeDirectory(key('d/e'));
    await expect(store.read(key('d'), anything, ignore)).rejects.toMatchObject({ kind: 'isDirectory' });
    await expect(store.write(key('d'), body('x'))).rejects.toMatchObject({ kind: 'isDirectory' });
    await expect(store.write(key('file/x'), body('x'))).rejects.toMatchObject({ kind: 'notDirectory' });
    await expect(store.makeDirectory(key('file'))).rejects.toMatchObject({ kind: 'exists' });
    await expect(store.remove(key('d'), 'directory')).rejects.toMatchObject({ kind: 'notEmpty' });
    await expect(store.write(key('x'.repeat(256)), body('x'))).rejects.toMatchObject({ kind: 'nameTooLong' });
  });

  it('says that a file was changed while it was read', async () => {
    const { fingerprint } = await store.write(key('a'), body('one'));
    const change = () => writeFileSync(join(root, 'a'), 'two');
    const read = store.read(key('a'), anything, change, { ...(fingerprint !== undefined && { fingerprint }) });
    await expect(read).rejects.toMatchObject({ kind: 'changed' });
  });
});

it('gives a new file its name also where there are no hard links, and never one that is taken', async () => {
  const [made, name] = [join(root, 'made'), join(root, 'name')].map((path) => Buffer.from(path)) as [Buffer, Buffer];
  const link = async () => {
    throw Object.assign(new Error('link'), { code: 'EPERM', syscall: 'link' });
  };
  writeFileSync(made, 'one');
  await nameNew(made, name, link);
  expect(readFileSync(name, 'utf8')).toBe('one');
  writeFileSync(made, 'two');
  await expect(nameNew(made, name, link)).rejects.toMatchObject({ kind: 'exists' });
  expect(readFileSync(name, 'utf8')).toBe('one');
});
