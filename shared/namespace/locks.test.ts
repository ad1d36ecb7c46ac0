import { describe, expect, it } from 'vitest';
import { FILE, lockingAgents, wishOf } from '../../test/support/locking.ts';
import { refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { AGENT_LEASE_MS } from './agents.ts';
import { LOCK_SESSIONS, LOCKS } from '../model/ids.ts';
import type { Lock, LockWish } from '../model/locks.ts';
import { sweepLocks } from './locks.ts';

/** Two agents, `a` and `b`, which have begun with their sessions `a1` and `b1`. */
async function opened() {
  const { rows, agents, clock, advance, open } = lockingAgents();
  const [one, two] = await Promise.all([open(), open()]);
  const of = { a: one, b: two };
  for (const agent of ['a', 'b'] as const) {
    await agents.join(agent);
    await of[agent].beginLocks(root, { agent, session: `${agent}1`, isNew: true });
  }
  return {
    rows,
    agents,
    clock,
    advance,
    of,
    lock: (agent: 'a' | 'b', fields: Partial<LockWish> = {}) =>
      of[agent].lock(root, FILE, wishOf({ agent, session: `${agent}1`, ...fields })),
    kept: async () => (await rows.list(LOCKS, { limit: 10 })).length,
  };
}

const shown = (lock: Lock | undefined) => lock && `${lock.agent}${lock.owner} ${lock.type} ${lock.start}-${lock.end}`;

describe('locks that agents share', () => {
  it('are one for all, until they are given back', async () => {
    const { lock, kept } = await opened();
    expect(await lock('a', { start: 10n, end: 19n })).toBeUndefined();
    expect(shown(await lock('b', { start: 15n }))).toBe('a1 exclusive 10-19');
    expect(await lock('b', { start: 20n })).toBeUndefined();
    expect(shown(await lock('a', { owner: '2', type: 'shared', start: 12n, end: 12n }))).toBe('a1 exclusive 10-19');
    await lock('a', { type: 'none' });
    expect(await lock('a', { owner: '2', type: 'shared', start: 12n, end: 12n })).toBeUndefined();
    await lock('a', { type: 'none', owner: '2' });
    expect(await kept()).toBe(1);
    await lock('b', { type: 'none' });
    expect(await kept()).toBe(0);
  });

  it('of fcntl and of flock know nothing of each other', async () => {
    const { lock } = await opened();
    expect(await lock('a')).toBeUndefined();
    expect(await lock('b', { space: 'whole' })).toBeUndefined();
    expect(shown(await lock('a', { space: 'whole', type: 'shared' }))).toMatch(/^b1/);
  });

  it('are only looked at by a test', async () => {
    const { of, lock, kept } = await opened();
    const test = () => of.b.lock(root, FILE, wishOf({ agent: 'b', session: 'b1' }), { isTest: true });
    expect(await test()).toBeUndefined();
    expect(await kept()).toBe(0);
    await lock('a', { start: 5n, end: 5n, pid: 77 });
    expect(await test()).toMatchObject({ agent: 'a', pid: 77, start: 5n, end: 5n });
  });

  it('of flock are lost by a change of their type that cannot be made, so that two such do not wait for each other', async () => {
    const { lock } = await opened();
    const whole = { space: 'whole' } as const;
    await lock('a', { ...whole, type: 'shared' });
    await lock('b', { ...whole, type: 'shared' });
    expect(shown(await lock('a', whole))).toMatch(/^b1 shared/);
    expect(await lock('b', whole)).toBeUndefined();
    expect(shown(await lock('a', whole))).toMatch(/^b1 exclusive/);
  });

  it('of fcntl are kept by a change of their type that cannot be made', async () => {
    const { lock } = await opened();
    await lock('a', { type: 'shared' });
    await lock('b', { type: 'shared' });
    expect(shown(await lock('a'))).toMatch(/^b1 shared/);
    expect(shown(await lock('b'))).toMatch(/^a1 shared/);
  });

  it('are as many as a file may have', async () => {
    const { lock, agents } = await opened();
    for (let i = 0n; i < 1000n; i++) expect(await lock('a', { start: 2n * i, end: 2n * i })).toBeUndefined();
    await refused('noLocks', lock('a', { start: 9998n, end: 9998n }));
    await refused('noLocks', lock('b', { start: 9998n, end: 9998n }));
    // One that covers others leaves fewer; and those of an agent that has gone count for nothing.
    expect(await lock('a', { start: 0n, end: 9n })).toBeUndefined();
    expect(await lock('b', { start: 9998n, end: 9998n })).toBeUndefined();
    await lock('b', { type: 'none' });
    await agents.leave('a');
    expect(await lock('b')).toBeUndefined();
  });
});

describe('the locks of an agent', () => {
  it('count for nothing once its registration is over', async () => {
    const { lock, agents, advance } = await opened();
    await lock('a');
    advance(AGENT_LEASE_MS / 2);
    await agents.join('b');
    expect(shown(await lock('b'))).toMatch(/^a1/);
    advance(AGENT_LEASE_MS / 2);
    expect(await lock('b')).toBeUndefined();
    await refused('changed', lock('a'));
    await agents.join('a');
    expect(shown(await lock('a'))).toMatch(/^b1/);
  });

  it('go with the session of its mount, at once', async () => {
    const { of, lock } = await opened();
    await lock('a');
    await of.a.beginLocks(root, { agent: 'a', session: 'a2', isNew: true });
    expect(await lock('b')).toBeUndefined();
    await refused('changed', lock('a'));
    await refused('changed', of.a.beginLocks(root, { agent: 'a', session: 'a1', isNew: false }));
    expect(shown(await lock('a', { session: 'a2' }))).toMatch(/^b1/);
  });

  it('stay with a mount that goes on under another process, which is told of them', async () => {
    const { of, lock } = await opened();
    await lock('a', { start: 3n, end: 4n });
    await lock('b', { start: 5n, end: 6n });
    const held = await of.a.beginLocks(root, { agent: 'a', session: 'a1', isNew: false });
    expect(held.map((each) => [each.file, shown(each.lock)])).toEqual([[FILE, 'a1 exclusive 3-4']]);
    expect(shown(await lock('b'))).toMatch(/^a1/);
  });

  it('that is forgotten are swept away, and it can begin again', async () => {
    const { of, rows, agents, clock, advance, lock, kept } = await opened();
    const sweep = () => sweepLocks({ metastore: rows, clock, random: Math.random });
    await lock('a');
    await sweep();
    expect(await kept()).toBe(1);
    advance(3_600_000);
    await agents.join('b');
    expect(await agents.forgetAbsent()).toBe(1);
    await sweep();
    expect(await kept()).toBe(0);
    expect((await rows.list(LOCK_SESSIONS, { limit: 10 })).map(({ name }) => name)).toEqual(['b']);
    await agents.join('a');
    await refused('changed', lock('a'));
    expect(await of.a.beginLocks(root, { agent: 'a', session: 'a1', isNew: false })).toEqual([]);
    expect(await lock('a')).toBeUndefined();
  });
});
