import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import { SyncBehind } from './sync-behind.ts';

/** Syncs that end when the test says so. */
function opened() {
  const syncs: PromiseWithResolvers<void>[] = [];
  const behind = new SyncBehind(() => {
    const sync = Promise.withResolvers<void>();
    syncs.push(sync);
    return sync.promise;
  });
  return { behind, syncs };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function isSettled(promise: Promise<void>): Promise<boolean> {
  await turn();
  return Promise.race([promise.then(() => true), turn().then(() => false)]);
}

describe('syncs behind', () => {
  it('come by themselves after a change, and not without one', async () => {
    const { behind, syncs } = opened();
    await behind.synced();
    expect(syncs).toHaveLength(0);
    behind.changed(1);
    expect(syncs).toHaveLength(0);
    await expect.poll(() => syncs.length, { timeout: 10_000 }).toBe(1);
    syncs[0]?.resolve();
    await behind.synced();
    await sleep(200);
    expect(syncs).toHaveLength(1);
  });

  it('are not shared with a change that came after they began', async () => {
    const { behind, syncs } = opened();
    behind.changed(1);
    const first = behind.synced();
    await turn();
    behind.changed(1);
    const second = behind.synced();
    const third = behind.synced();
    await turn();
    expect(syncs).toHaveLength(1);
    syncs[0]?.resolve();
    await first;
    expect(await isSettled(second)).toBe(false);
    expect(syncs).toHaveLength(2);
    syncs[1]?.resolve();
    await Promise.all([second, third]);
    expect(syncs).toHaveLength(2);
  });

  it('are waited for by who changed nothing since, too', async () => {
    const { behind, syncs } = opened();
    behind.changed(1);
    void behind.synced();
    await turn();
    const late = behind.synced();
    expect(await isSettled(late)).toBe(false);
    syncs[0]?.resolve();
    await late;
  });

  it('begin at once in a burst, and hold it back while the disk is behind', async () => {
    const { behind, syncs } = opened();
    behind.changed(5000);
    await turn();
    expect(syncs).toHaveLength(1);
    expect(behind.pressure).toBeUndefined();
    behind.changed(5000);
    const { pressure } = behind;
    expect(pressure).toBeDefined();
    syncs[0]?.resolve();
    await pressure;
    await turn();
    expect(syncs).toHaveLength(2);
    expect(behind.pressure).toBeUndefined();
    syncs[1]?.resolve();
  });

  it('are tried again after a fault', async () => {
    const { behind, syncs } = opened();
    behind.changed(1);
    const first = behind.synced();
    await turn();
    syncs[0]?.reject(new LeatError('unavailable', 'no room'));
    await expect(first).rejects.toThrow('no room');
    behind.demandWorking();
    await expect.poll(() => syncs.length, { timeout: 10_000 }).toBe(2);
    syncs[1]?.resolve();
    await behind.synced();
  });

  it('are not believed any more once one has failed', async () => {
    const { behind, syncs } = opened();
    behind.changed(1);
    const first = behind.synced();
    await turn();
    behind.changed(1);
    const second = behind.synced();
    syncs[0]?.reject(new Error('EIO'));
    await expect(first).rejects.toThrow('EIO');
    await expect(second).rejects.toThrow('EIO');
    await expect(behind.synced()).rejects.toThrow('EIO');
    expect(() => behind.demandWorking()).toThrow('EIO');
    expect(syncs).toHaveLength(1);
  });
});
