import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import type { Fingerprint } from '#shared/model/inode.ts';
import { get, key, pieces, put, type StoreEngine } from '../support/store-engine.ts';

const MIB = 1 << 20;

export function objectsContract(engine: StoreEngine): void {
  absence(engine);
  writing(engine);
  reading(engine);
  conditions(engine);
  copying(engine);
  (engine.traits.moves ? moving : notMoving)(engine);
  removing(engine);
}

function absence({ open }: StoreEngine): void {
  it('answers absence as a value, and says notFound where there must be something', async () => {
    const store = await open();
    expect(await store.stat(key('a/b'))).toBeUndefined();
    await put(store, 'file');
    expect(await store.stat(key('a'))).toBeUndefined();
    expect(await store.stat(key('file/below'))).toBeUndefined();
    await expect(get(store, 'a')).rejects.toMatchObject({ kind: 'notFound' });
    await expect(store.copy(key('a'), key('b'))).rejects.toMatchObject({ kind: 'notFound' });
    await expect(store.setAttributes(key('a'), { mode: 0o600 })).rejects.toMatchObject({ kind: 'notFound' });
    expect(await store.stat(key('a'))).toBeUndefined();
  });

  it('takes the root for a directory, also when nothing is in it', async () => {
    const store = await open();
    expect(await store.stat(key(''))).toMatchObject({ key: '', kind: 'directory' });
    expect(await store.list(key(''))).toEqual({ entries: [], unnameable: 0 });
  });
}

function writing({ open }: StoreEngine): void {
  it('tells of what it wrote as stat does, and makes the directories above', async () => {
    const store = await open();
    const entry = await store.write(key('a/b/c'), pieces('one', '', 'two'), { size: 6 });
    expect(entry).toMatchObject({ key: 'a/b/c', kind: 'file', size: 6 });
    expect(entry.fingerprint).toMatch(/./);
    expect(await store.stat(key('a/b/c'))).toEqual(entry);
    expect(await store.stat(key('a/b'))).toMatchObject({ key: 'a/b', kind: 'directory' });
    expect(await get(store, 'a/b/c')).toBe('onetwo');
  });

  it('replaces an object by another version, however alike', async () => {
    const store = await open();
    const first = await put(store, 'a', 'one');
    const second = await put(store, 'a', 'two');
    expect(second.fingerprint).not.toBe(first.fingerprint);
    expect(second.size).toBe(first.size);
    expect(await get(store, 'a')).toBe('two');
  });

  it('leaves nothing of a write whose body fails', async () => {
    const store = await open();
    await put(store, 'old', 'kept');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half');
      throw new Error('the producer died');
    }
    await expect(store.write(key('new'), failing())).rejects.toThrow('the producer died');
    await expect(store.write(key('old'), failing())).rejects.toThrow('the producer died');
    expect((await store.list(key(''))).entries.map((entry) => entry.key)).toEqual(['old']);
    expect(await get(store, 'old')).toBe('kept');
  });

  it('streams a large object of unknown size, and keeps each byte', async () => {
    const store = await open();
    const sent = createHash('sha256');
    async function* body(): AsyncGenerator<Uint8Array> {
      const reused = Buffer.alloc(MIB - 17);
      for (let left = 20 * MIB; left > 0; left -= reused.length) {
        randomBytes(reused.length).copy(reused);
        const piece = reused.subarray(0, left);
        sent.update(piece);
        yield piece;
      }
    }
    const entry = await store.write(key('large'), body());
    expect(entry.size).toBe(20 * MIB);
    const got = createHash('sha256');
    const range = { offset: 0, length: 20 * MIB };
    await store.read(key('large'), range, (bytes) => void got.update(bytes), {
      fingerprint: entry.fingerprint as Fingerprint,
    });
    expect(got.digest('hex')).toBe(sent.digest('hex'));
  });
}

function reading({ open }: StoreEngine): void {
  it('hands over the part of a range that lies within the object', async () => {
    const store = await open();
    await put(store, 'a', '0123456789');
    await put(store, 'empty', '');
    expect(await get(store, 'a', { offset: 0, length: 10 })).toBe('0123456789');
    expect(await get(store, 'a', { offset: 3, length: 4 })).toBe('3456');
    expect(await get(store, 'a', { offset: 9, length: 100 })).toBe('9');
    expect(await get(store, 'a', { offset: 10, length: 1 })).toBe('');
    expect(await get(store, 'a', { offset: 1000, length: 1 })).toBe('');
    expect(await get(store, 'a', { offset: 5, length: 0 })).toBe('');
    expect(await get(store, 'empty')).toBe('');
  });

  it('refuses to read a version that is gone', async () => {
    const store = await open();
    const { fingerprint } = await put(store, 'a', 'one');
    const options = { fingerprint: fingerprint as Fingerprint };
    expect(await get(store, 'a', { offset: 0, length: 3 }, options)).toBe('one');
    await put(store, 'a', 'two');
    await expect(get(store, 'a', { offset: 0, length: 3 }, options)).rejects.toMatchObject({ kind: 'changed' });
    await store.remove(key('a'), 'file');
    await expect(get(store, 'a', { offset: 0, length: 3 }, options)).rejects.toMatchObject({
      kind: expect.stringMatching(/^(notFound|changed)$/) as unknown,
    });
  });

  it('stops with what the sink threw, once, and when it is aborted', async () => {
    const store = await open();
    await put(store, 'a', 'one');
    // Of a kind that a driver would try again, were it the store's.
    const mine = new LeatError('unavailable', 'the disk of the reader is full');
    let calls = 0;
    const sink = () => {
      calls++;
      throw mine;
    };
    await expect(store.read(key('a'), { offset: 0, length: 3 }, sink)).rejects.toBe(mine);
    expect(calls).toBe(1);
    const signal = AbortSignal.abort();
    await expect(get(store, 'a', { offset: 0, length: 3 }, { signal })).rejects.toMatchObject({ kind: 'interrupted' });
  });
}

function conditions({ open, traits }: StoreEngine): void {
  it('writes under a condition that holds', async () => {
    const store = await open();
    const first = await put(store, 'a', 'one', { when: 'absent' });
    const second = await put(store, 'a', 'two', { when: first.fingerprint as Fingerprint });
    expect(await store.stat(key('a'))).toEqual(second);
    expect(await get(store, 'a')).toBe('two');
  });

  it(`${traits.checksConditions ? 'refuses' : 'cannot refuse'} a write whose condition does not hold`, async () => {
    const store = await open();
    const first = await put(store, 'a', 'one');
    await put(store, 'a', 'two');
    const kindOf = (error: unknown) => (error as LeatError).kind;
    const taken = await put(store, 'a', 'six', { when: 'absent' }).catch(kindOf);
    const stale = await put(store, 'a', 'six', { when: first.fingerprint as Fingerprint }).catch(kindOf);
    // A server that ignores what it does not know writes, and no error tells.
    const written = { size: 3 };
    expect([taken, stale]).toMatchObject(traits.checksConditions ? ['exists', 'changed'] : [written, written]);
    expect(await get(store, 'a')).toBe(traits.checksConditions ? 'two' : 'six');
    await store.remove(key('a'), 'file');
    const gone = await put(store, 'a', 'six', { when: first.fingerprint as Fingerprint }).catch(kindOf);
    expect([gone]).toMatchObject(traits.checksConditions ? ['changed'] : [written]);
  });
}

function copying({ open, traits }: StoreEngine): void {
  it('copies an object with what is known of it, and replaces what was there', async () => {
    const store = await open();
    const attributes = { mode: 0o640, mtime: 1_600_000_000_000_000_000n };
    const original = await put(store, traits.copySource, 'bytes', { attributes });
    await put(store, 'to/there', 'to be replaced');
    for (const target of ['to/there', 'new/deep/ü', 'to/there']) {
      const copied = await store.copy(key(traits.copySource), key(target));
      expect(copied).toMatchObject({ key: key(target), kind: 'file', size: 5, ...attributes });
      expect(await store.stat(key(target))).toEqual(copied);
      expect(await get(store, target)).toBe('bytes');
    }
    expect(await store.stat(key(traits.copySource))).toEqual(original);
  });
}

function notMoving({ open }: StoreEngine): void {
  it('says that it cannot move', async () => {
    const store = await open();
    await put(store, 'a');
    expect(store.supports.move).toBe(false);
    await expect(store.move(key('a'), key('b'))).rejects.toMatchObject({ kind: 'unsupported' });
  });
}

function moving({ open }: StoreEngine): void {
  it('moves files and directories, and knows what it has done before', async () => {
    const store = await open();
    for (const name of ['a/one', 'a/two', 'old']) await put(store, name);
    expect(store.supports.move).toBe(true);
    await store.move(key('a'), key('b/c'));
    await store.move(key('a'), key('b/c'));
    expect(await get(store, 'b/c/one')).toBe('a/one');
    expect(await store.stat(key('a'))).toBeUndefined();
    await store.move(key('b/c/two'), key('old'));
    expect(await get(store, 'old')).toBe('a/two');
    await expect(store.move(key('none'), key('neither'))).rejects.toMatchObject({ kind: 'notFound' });
  });
}

function removing({ open }: StoreEngine): void {
  it('removes files, symlinks and empty directories, and what is not there is removed already', async () => {
    const store = await open();
    await store.makeDirectory(key('d'));
    await put(store, 'd/a');
    await store.makeSymlink(key('d/link'), 'a');
    for (let round = 0; round < 2; round++) {
      await store.remove(key('d/link'), 'symlink');
      await store.remove(key('d/a'), 'file');
      await store.remove(key('d'), 'directory');
      await store.remove(key('no/such'), 'file');
    }
    expect(await store.stat(key('d'))).toBeUndefined();
    expect((await store.list(key(''))).entries).toEqual([]);
  });

  it('tells how much room there is, where there is a limit', async () => {
    const store = await open();
    const { total, free } = (await store.capacity()) ?? { total: 1, free: 0 };
    expect(total).toBeGreaterThanOrEqual(free);
    await store.close();
  });
}
