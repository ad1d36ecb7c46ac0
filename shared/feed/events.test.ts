import { describe, expect, it } from 'vitest';
import { localFeed } from '#agent/embedded/change-feed.ts';
import { eventRing } from '#agent/embedded/event-ring.ts';
import { heapMetastore } from '#agent/embedded/heap-metastore.ts';
import type { Actor } from '#shared/namespace/namespace.ts';
import { openNamespace, path, ROOT_USER, user } from '../../test/support/namespace.ts';
import { namespaceEvents } from './events.ts';
import { followedLog, untilReady } from './followed-log.ts';
import { ChangeLog } from './log.ts';

const MODE = { mode: 0o755 };

async function open() {
  const feed = localFeed();
  const metastore = heapMetastore({ feed, clock: Date.now });
  const { namespace, advance } = await openNamespace({ metastore });
  const ring = eventRing(feed);
  const events = namespaceEvents({ feed: ring, metastore });
  /** What somebody is shown of an act, without the times of directories, which are written behind. */
  const seen = async (act: () => Promise<unknown>, { below = '/', actor = ROOT_USER } = {}) => {
    const ended = new AbortController();
    const from = await cursorNow();
    await act();
    const shown: string[] = [];
    for await (const event of events.follow({ actor, path: path(below), after: from, signal: ended.signal })) {
      if (event.what === 'ready') ended.abort();
      else if ('path' in event && !(event.what === 'changed' && event.inode.kind === 'directory')) {
        shown.push(`${event.what} ${event.path}`);
      }
    }
    return shown;
  };
  const cursorNow = async () => {
    const ended = new AbortController();
    for await (const { cursor = '' } of ring.follow({ signal: ended.signal })) return cursor;
    throw new Error('the ring has ended');
  };
  return { namespace, advance, metastore, feed, seen };
}

describe('namespaceEvents', () => {
  it('shows what is made, changed, moved and removed, with its path', async () => {
    const { namespace, seen } = await open();
    const shown = await seen(async () => {
      await namespace.mkdir(ROOT_USER, path('/a/b'), { ...MODE, parents: true });
      await namespace.create(ROOT_USER, path('/a/b/file'), MODE);
      await namespace.setAttributes(ROOT_USER, path('/a/b/file'), { mode: 0o600 });
    });
    expect(shown).toEqual(['created /a', 'created /a/b', 'created /a/b/file', 'changed /a/b/file']);
    expect(await seen(() => namespace.rename(ROOT_USER, path('/a/b/file'), path('/a/moved')))).toEqual([
      'removed /a/b/file',
      'created /a/moved',
    ]);
    expect(await seen(() => namespace.remove(ROOT_USER, path('/a/moved'), 'file'))).toEqual(['removed /a/moved']);
  });

  it('shows a moved directory as one, and what happens in it afterwards at its new place', async () => {
    const { namespace, seen } = await open();
    await namespace.mkdir(ROOT_USER, path('/a/b/c'), { ...MODE, parents: true });
    await seen(() => namespace.create(ROOT_USER, path('/a/b/c/before'), MODE));
    expect(await seen(() => namespace.rename(ROOT_USER, path('/a/b'), path('/new')))).toEqual([
      'removed /a/b',
      'created /new',
    ]);
    expect(await seen(() => namespace.create(ROOT_USER, path('/new/c/after'), MODE))).toEqual(['created /new/c/after']);
  });

  it('shows a removed tree as one, and nothing of how it is reclaimed', async () => {
    const { namespace, advance, metastore, seen } = await open();
    await namespace.mkdir(ROOT_USER, path('/tree/below'), { ...MODE, parents: true });
    const { inode } = await namespace.stat(ROOT_USER, path('/tree'));
    await namespace.create(ROOT_USER, path('/tree/below/file'), MODE);
    const shown = await seen(async () => {
      await namespace.removeTree(ROOT_USER, path('/tree'));
      advance(60_000);
      while ((await metastore.list(inode.id, { limit: 1 })).length > 0) await new Promise(setImmediate);
    });
    expect(shown).toEqual(['removed /tree']);
  });

  it('shows both of a file that takes the place of another', async () => {
    const { namespace, seen } = await open();
    for (const name of ['/a', '/b']) await namespace.create(ROOT_USER, path(name), MODE);
    const shown = await seen(() => namespace.rename(ROOT_USER, path('/a'), path('/b')));
    expect(shown.toSorted()).toEqual(['created /b', 'removed /a', 'removed /b']);
  });

  it('shows what is at a path and below it, and not what only begins like it', async () => {
    const { namespace, seen } = await open();
    const shown = await seen(
      async () => {
        for (const name of ['/a', '/ab', '/a/c']) await namespace.mkdir(ROOT_USER, path(name), MODE);
      },
      { below: '/a' },
    );
    expect(shown).toEqual(['created /a', 'created /a/c']);
  });

  it.each<[string, number, Actor, string[]]>([
    ['nobody, of what all may list', 0o755, user(7), ['created /d/file', 'created /d/e', 'created /d/e/deep']],
    ['nobody, of what only may be searched', 0o711, user(7), ['created /d/e/deep']],
    ['nobody, of what only may be read', 0o744, user(7), []],
    ['nobody, of what is closed to them', 0o700, user(7), []],
    [
      'whom the agent has checked',
      0o700,
      { ...user(7), checked: true },
      ['created /d/file', 'created /d/e', 'created /d/e/deep'],
    ],
  ])('shows %s', async (_, mode, actor, expected) => {
    const { namespace, seen } = await open();
    await namespace.mkdir(ROOT_USER, path('/d'), { mode });
    const act = async () => {
      await namespace.create(ROOT_USER, path('/d/file'), MODE);
      await namespace.mkdir(ROOT_USER, path('/d/e'), MODE);
      await namespace.create(ROOT_USER, path('/d/e/deep'), MODE);
    };
    expect(await seen(act, { actor })).toEqual(expected);
  });

  it('shows nothing more to those from whom a directory has been closed', async () => {
    const { namespace, seen } = await open();
    await namespace.mkdir(ROOT_USER, path('/d'), MODE);
    const actor = user(7);
    expect(await seen(() => namespace.create(ROOT_USER, path('/d/a'), MODE), { actor })).toEqual(['created /d/a']);
    await namespace.setAttributes(ROOT_USER, path('/d'), { mode: 0o700 });
    expect(await seen(() => namespace.create(ROOT_USER, path('/d/b'), MODE), { actor })).toEqual([]);
  });

  it('shows the same from the log, to whoever resumes there', async () => {
    const { namespace, metastore, feed } = await open();
    const log = new ChangeLog({ metastore, clock: Date.now });
    const commits: Parameters<typeof log.append>[0][] = [];
    feed.subscribe(({ changes }) => void commits.push(changes));
    await namespace.mkdir(ROOT_USER, path('/a'), MODE);
    await namespace.create(ROOT_USER, path('/a/one'), MODE);
    await namespace.create(ROOT_USER, path('/a/two'), MODE);
    for (const changes of commits.splice(0)) await log.append(changes);
    const events = namespaceEvents({ feed: followedLog({ log, sleep: () => new Promise(setImmediate) }), metastore });
    const read = async (after: string) => {
      const ended = new AbortController();
      const shown: string[] = [];
      let last = after;
      for await (const event of events.follow({ actor: ROOT_USER, path: path('/'), after, signal: ended.signal })) {
        if (event.what === 'created') shown.push(event.path);
        if (event.what === 'gap') shown.push('gap');
        if (event.what === 'ready') ended.abort();
        last = event.cursor ?? last;
        if (shown.length === 2) ended.abort();
      }
      return { shown, last };
    };
    const first = await read('0');
    expect(first.shown).toEqual(['/a', '/a/one']);
    expect((await read(first.last)).shown).toEqual(['/a/two']);
    expect((await read('99')).shown).toEqual(['gap']);
    expect((await read('bogus')).shown).toEqual(['gap']);
    // Where an answer cannot be kept open it ends by itself.
    const steps: string[] = [];
    const polled = untilReady(followedLog({ log, sleep: () => Promise.reject(new Error('sleeps')) }));
    for await (const { what } of polled.follow({ after: '2', signal: new AbortController().signal })) steps.push(what);
    expect(new Set(steps)).toEqual(new Set(['changes', 'ready']));
  });
});
