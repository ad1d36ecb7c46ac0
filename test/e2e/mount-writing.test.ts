import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Binding, EMBEDDED, LIBFUSE } from '../support/bindings.ts';
import { cliOn } from '../support/cli.ts';
import { type MountStage, openMountStage } from '../support/mounted.ts';
import { run } from '../support/run.ts';
import { HAS_STRICT_S3, type S3Server, startS3Server } from '../support/s3-server.ts';

const MIB = 1 << 20;
const SOON = { timeout: 20_000 };

/** One after the other by both drivers. */
const DRIVERS = [EMBEDDED, LIBFUSE].filter(({ isThere }) => isThere);

let binding: Binding;
let server: S3Server;
let bucket: string;
let stage: MountStage;

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

beforeEach(async () => {
  bucket = await server.newBucket();
  stage = await openMountStage();
});
afterEach(() => stage.clear());

/** `/` has no store, `/s3` has one. */
const start = (args: readonly string[] = [], set: Readonly<Record<string, string>> = {}) =>
  stage.start([`s3=s3://${bucket}`], {
    set: { ...binding.set, ...set },
    args: ['--option', `s3.endpoint=${server.endpoint}`, ...args],
    env: server.env,
  });
const at = (name: string) => join(stage.at, name);
const put = (Key: string, Body: Buffer | string) =>
  server.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));

async function objectAt(Key: string): Promise<Buffer> {
  const { Body } = await server.client.send(new GetObjectCommand({ Bucket: bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function keys(): Promise<string[]> {
  const { Contents = [] } = await server.client.send(new ListObjectsV2Command({ Bucket: bucket }));
  return Contents.map(({ Key = '' }) => Key);
}

describe.each(DRIVERS)('files without a store, $name', (one) => {
  beforeEach(() => void (binding = one));

  it('hold what is written, at any offset and with holes, also after a restart', async () => {
    const daemon = await start();
    const model = Buffer.alloc(3 * MIB);
    const file = await open(at('f'), 'wx');
    for (const [offset, length] of [
      [0, 10],
      [5, 3],
      [2 * MIB - 1, MIB + 1],
      [100, 100_000],
    ] as const) {
      const bytes = randomBytes(length);
      bytes.copy(model, offset);
      await file.write(bytes, 0, length, offset);
      expect((await stat(at('f'))).size).toBe((await file.stat()).size);
    }
    await file.close();
    await expect(open(at('f'), 'wx')).rejects.toMatchObject({ code: 'EEXIST' });
    expect(model.equals(await readFile(at('f')))).toBe(true);
    await truncate(at('f'), MIB);
    await truncate(at('f'), 2 * MIB);
    model.fill(0, MIB);
    expect(model.subarray(0, 2 * MIB).equals(await readFile(at('f')))).toBe(true);
    await daemon.stop();
    await start();
    expect(model.subarray(0, 2 * MIB).equals(await readFile(at('f')))).toBe(true);
  });

  it('are one file for all who have them open, renamed, replaced and removed meanwhile', async () => {
    await start();
    await writeFile(at('log'), 'one ');
    const reader = await open(at('log'), 'r');
    const text = async () => (await reader.read(Buffer.alloc(100), 0, 100, 0)).bytesRead;
    expect(await text()).toBe(4);
    const writer = await open(at('log'), 'a');
    await writer.write('two ');
    expect(await text()).toBe(8);
    await rename(at('log'), at('moved'));
    await writer.write('three ');
    expect(await readFile(at('moved'), 'utf8')).toBe('one two three ');
    await writeFile(at('other'), 'other');
    await rename(at('other'), at('moved'));
    await writer.write('four ');
    expect(await text()).toBe(19);
    expect(await readFile(at('moved'), 'utf8')).toBe('other');
    const removed = await open(at('moved'), 'r+');
    await unlink(at('moved'));
    await removed.truncate(2);
    await removed.write('x', 5);
    expect((await removed.stat()).size).toBe(6);
    expect((await removed.stat()).nlink).toBe(0);
    for (const each of [reader, writer, removed]) await each.close();
    await expect
      .poll(
        () =>
          readdir(join(stage.data, 'dirty'), { recursive: true, withFileTypes: true }).then((files) =>
            files.filter((file) => file.isFile()).map(({ name }) => name),
          ),
        SOON,
      )
      .toEqual(['journal']);
  });

  it('lose nothing that was written when the agent is killed', async () => {
    const daemon = await start();
    await mkdir(at('d'));
    const file = await open(at('d/f'), 'w');
    await file.write('written, not closed');
    await writeFile(at('d/closed'), 'closed');
    await rename(at('d'), at('e'));
    await daemon.kill();
    await file.close().catch(() => undefined);
    await start();
    expect(await readFile(at('e/f'), 'utf8')).toBe('written, not closed');
    expect(await readFile(at('e/closed'), 'utf8')).toBe('closed');
  });
});

describe.each(DRIVERS)('files of a bucket, $name', (one) => {
  beforeEach(() => void (binding = one));

  it('are objects when they are closed, whatever else is done with them', async () => {
    await start();
    await put('old', 'old');
    const file = await open(at('s3/new'), 'w');
    await file.write('not ');
    await file.sync();
    expect(await keys()).toEqual(['old']);
    await file.write('closed');
    await file.close();
    expect((await objectAt('new')).toString()).toBe('not closed');
    await writeFile(at('s3/old'), ' and new', { flag: 'a' });
    expect((await objectAt('old')).toString()).toBe('old and new');
    await writeFile(at('s3/tmp'), 'replaced');
    await rename(at('s3/tmp'), at('s3/old'));
    await expect.poll(async () => (await objectAt('old')).toString(), SOON).toBe('replaced');
    expect(await readFile(at('s3/old'), 'utf8')).toBe('replaced');
    await writeFile(at('s3/empty'), '');
    expect(await objectAt('empty')).toHaveLength(0);
    await unlink(at('s3/new'));
    await expect.poll(keys, SOON).toEqual(['empty', 'old']);
  });

  it('of many parts are sent while they are written, and rewritten without being fetched', async () => {
    const bytes = randomBytes(40 * MIB);
    await put('base', bytes);
    await start();
    const file = await open(at('s3/base'), 'r+');
    for (const [offset, length] of [
      [1, 3],
      [20 * MIB - 5, 10],
      [30 * MIB, 2 * MIB],
      [40 * MIB, 5],
    ] as const) {
      const piece = randomBytes(length);
      if (offset < bytes.length) piece.copy(bytes, offset);
      await file.write(piece, 0, length, offset);
    }
    await file.truncate(39 * MIB + 7);
    await file.close();
    const expected = bytes.subarray(0, 39 * MIB + 7);
    expect(expected.equals(await readFile(at('s3/base')))).toBe(true);
    expect(expected.equals(await objectAt('base'))).toBe(true);
    // By now it is cached, and what is written shows in all that is sent of it.
    const again = await open(at('s3/base'), 'r+');
    for (const offset of [7, 17 * MIB + 11, 39 * MIB - 93]) {
      const piece = randomBytes(100);
      piece.copy(expected, offset);
      await again.write(piece, 0, 100, offset);
    }
    await again.close();
    expect(expected.equals(await readFile(at('s3/base')))).toBe(true);
    expect(expected.equals(await objectAt('base'))).toBe(true);
    const { stdout } = await run('dd', [`if=/dev/urandom`, `of=${at('s3/streamed')}`, 'bs=1M', 'count=70']);
    expect(stdout).toBe('');
    const streamed = await objectAt('streamed');
    expect(streamed).toHaveLength(70 * MIB);
    expect(streamed.equals(await readFile(at('s3/streamed')))).toBe(true);
  });

  it.skipIf(!HAS_STRICT_S3)('that others have written meanwhile are kept beside, and theirs is shown', async () => {
    await put('f', 'first');
    await start();
    expect(await readFile(at('s3/f'), 'utf8')).toBe('first');
    const file = await open(at('s3/f'), 'r+');
    await file.write('MINE!');
    await put('f', 'theirs');
    await expect(file.close()).rejects.toMatchObject({ errno: -116 });
    await expect.poll(async () => (await readdir(at('s3'))).length, SOON).toBe(2);
    const [theirs = '', mine = ''] = await readdir(at('s3'));
    expect(mine).toMatch(/^f\.conflict-/);
    await expect.poll(() => readFile(at(`s3/${theirs}`), 'utf8'), SOON).toBe('theirs');
    await expect.poll(() => readFile(at(`s3/${mine}`), 'utf8'), SOON).toBe('MINE!');
    await expect.poll(async () => (await objectAt(mine)).toString(), SOON).toBe('MINE!');
    expect((await objectAt('f')).toString()).toBe('theirs');
  });

  it('written while the store is away are kept, and brought there when it is back', async () => {
    await start();
    await writeFile(at('s3/f'), 'before');
    await server.down();
    await expect(writeFile(at('s3/f'), 'while it was away')).rejects.toMatchObject({ code: 'EIO' });
    expect(await readFile(at('s3/f'), 'utf8')).toBe('while it was away');
    const leat = cliOn(stage.data);
    expect(await leat('unmount', '/s3')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('/s3/f was written'),
    });
    expect(await leat('fs', 'recover')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^waiting +17 B +\/s3\/f +/),
    });
    await server.up();
    await expect.poll(async () => (await leat('fs', 'recover')).code, { timeout: 60_000 }).toBe(0);
    await expect.poll(async () => (await objectAt('f')).toString(), { timeout: 60_000 }).toBe('while it was away');
  }, 120_000);

  it('are brought there after a kill', async () => {
    const daemon = await start();
    const file = await open(at('s3/f'), 'w');
    await file.write('written, not closed');
    await daemon.kill();
    await file.close().catch(() => undefined);
    await start();
    expect(await readFile(at('s3/f'), 'utf8')).toBe('written, not closed');
    await expect.poll(async () => (await objectAt('f')).toString(), SOON).toBe('written, not closed');
  });

  it('are written as their write type says', async () => {
    await start(['--option', 'write.type=MUST_CACHE']);
    await mkdir(at('s3/through'));
    await run('python3', [
      '-c',
      `import os; os.setxattr(${JSON.stringify(at('s3/through'))}, 'user.leat.writetype', b'THROUGH')`,
    ]);
    await writeFile(at('s3/only-here'), 'x');
    const file = await open(at('s3/through/f'), 'w');
    await file.write('synced');
    await file.sync();
    expect((await objectAt('through/f')).toString()).toBe('synced');
    await file.close();
    const { Metadata } = await server.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'through/f' }));
    expect(Metadata?.['file-permissions']).toBe('0100644');
    expect(await keys()).not.toContain('only-here');
    expect(await readFile(at('s3/only-here'), 'utf8')).toBe('x');
    const { stdout } = await cliOn(stage.data)('fs', 'cat', '/s3/only-here');
    expect(stdout).toBe('x');
  });
});

describe.each(DRIVERS)('a cache that is full of what was written, $name', (one) => {
  beforeEach(() => void (binding = one));

  it('says so where nothing can be stored, and waits for the store where it can', async () => {
    await start([], { 'cache.size': '16MiB' });
    await expect(writeFile(at('here'), Buffer.alloc(20 * MIB))).rejects.toMatchObject({ code: 'ENOSPC' });
    await unlink(at('here'));
    for (let i = 0; i < 5; i++) await writeFile(at(`s3/${i}`), Buffer.alloc(6 * MIB, i));
    for (let i = 0; i < 5; i++) expect(await readFile(at(`s3/${i}`))).toEqual(Buffer.alloc(6 * MIB, i));
  });

  it('takes what is written here and there in files that are larger, before they are closed', async () => {
    for (const mib of [6, 48]) await put(`large-${mib}`, Buffer.alloc(mib * MIB, 'x'));
    await start([], { 'cache.size': '8MiB' });
    for (const mib of [6, 48]) {
      const expected = Buffer.alloc(mib * MIB, 'x');
      const file = await open(at(`s3/large-${mib}`), 'r+');
      for (let offset = 5; offset < expected.length; offset += MIB / 2) {
        expected.write('here', offset);
        await file.write('here', offset);
      }
      await file.close();
      expect((await readFile(at(`s3/large-${mib}`))).equals(expected)).toBe(true);
      expect((await objectAt(`large-${mib}`)).equals(expected)).toBe(true);
    }
  });
});
