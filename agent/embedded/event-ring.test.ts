import { describe, expect, it } from 'vitest';
import { INTENTS, type InodeId, ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { FeedStep } from '#shared/ports/change-feed.ts';
import { file } from '../../test/contract/metastore.contract.ts';
import { localFeed } from './change-feed.ts';
import { eventRing } from './event-ring.ts';

function openRing(changesMax = 4) {
  const feed = localFeed();
  const ring = eventRing(feed, { changesMax });
  const commit = (name: string, directory: InodeId = ROOT) => {
    const change = { key: { directory, name: name as Name }, before: undefined, after: file(1) };
    feed.publish({ source: undefined, changes: [change] });
  };
  return { ring, commit };
}

/** A follower whose next step is asked for when the test wants it. */
function follower(ring: ReturnType<typeof eventRing>, after?: string) {
  const ended = new AbortController();
  const steps = ring.follow({ signal: ended.signal, ...(after !== undefined && { after }) })[Symbol.asyncIterator]();
  const next = async (): Promise<FeedStep> => (await steps.next()).value as FeedStep;
  const shown = async () => told(await next());
  return { next, shown, steps, end: () => ended.abort() };
}

const told = (step: FeedStep) => (step.what === 'changes' ? step.changes.map(({ key }) => key.name).join() : step.what);

describe('eventRing', () => {
  it('is ready at once without a cursor, and hands over what comes then', async () => {
    const { ring, commit } = openRing();
    commit('before');
    const { shown } = follower(ring);
    expect(await shown()).toBe('ready');
    const waiting = shown();
    commit('a');
    commit('b');
    expect([await waiting, await shown()]).toEqual(['a', 'b']);
  });

  it('goes on behind a cursor, then is ready', async () => {
    const { ring, commit } = openRing();
    const first = follower(ring);
    const { cursor } = await first.next();
    commit('a');
    const a = await first.next();
    commit('b');
    const again = follower(ring, a.cursor);
    expect([await again.shown(), await again.shown()]).toEqual(['b', 'ready']);
    const fromStart = follower(ring, cursor);
    expect([await fromStart.shown(), await fromStart.shown()]).toEqual(['a', 'b']);
  });

  it('tells a follower that is too slow, and goes on with what is new', async () => {
    const { ring, commit } = openRing(2);
    const slow = follower(ring);
    await slow.next();
    for (const name of ['a', 'b', 'c']) commit(name);
    expect(await slow.shown()).toBe('gap');
    commit('d');
    expect(await slow.shown()).toBe('d');
  });

  it('keeps as many changes as it may', async () => {
    const { ring, commit } = openRing(2);
    const { cursor } = await follower(ring).next();
    commit('a');
    commit('b');
    const reader = follower(ring, cursor);
    expect([await reader.shown(), await reader.shown()]).toEqual(['a', 'b']);
  });

  it.each(['', 'x-1', 'nonsense', '-', '1'])('answers the cursor "%s" of another life with a gap', async (cursor) => {
    const { ring } = openRing();
    const { shown } = follower(ring, cursor);
    expect([await shown(), await shown()]).toEqual(['gap', 'ready']);
  });

  it('answers a cursor of the future with a gap', async () => {
    const { ring } = openRing();
    const { cursor } = await follower(ring).next();
    expect(await follower(ring, `${cursor.split('-')[0]}-1`).shown()).toBe('gap');
  });

  it('leaves out what is not of files', async () => {
    const { ring, commit } = openRing();
    const { shown } = follower(ring);
    await shown();
    commit('intent', INTENTS);
    commit('a');
    expect(await shown()).toBe('a');
  });

  it('ends followers that wait: with their signal, and when it is closed', async () => {
    const { ring } = openRing();
    const [one, two] = [follower(ring), follower(ring)];
    await one.next();
    await two.next();
    const ends = [one.steps.next(), two.steps.next()];
    one.end();
    expect((await ends[0])?.done).toBe(true);
    ring.close();
    expect((await ends[1])?.done).toBe(true);
  });
});
