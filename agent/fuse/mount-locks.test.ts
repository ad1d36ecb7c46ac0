import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import type { LockWish } from '#shared/model/locks.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { FILE, lockingAgents, wishOf } from '../../test/support/locking.ts';
import { refused, ROOT_USER as root } from '../../test/support/namespace.ts';
import { type LockQuestion, MountLocks } from './mount-locks.ts';

type Locking = Pick<Namespace, 'lock' | 'beginLocks'>;

async function opened(wrap: (namespace: Locking) => Locking = (namespace) => namespace) {
  const agents = lockingAgents();
  const logged: string[] = [];
  const mount = async (agent: string, session: string) => {
    await agents.agents.join(agent);
    const namespace = wrap(await agents.open());
    return new MountLocks({
      namespace,
      session: { agent, session, isNew: true },
      log: (line) => void logged.push(line),
    });
  };
  return { ...agents, logged, mount, one: await mount('a', 'a1'), two: await mount('b', 'b1') };
}

const never = new AbortController().signal;

function act(
  mount: MountLocks,
  how: LockQuestion['how'],
  { signal = never, file = FILE, ...fields }: Partial<LockWish> & { signal?: AbortSignal; file?: typeof FILE } = {},
) {
  const { agent: _, session: __, ...wish } = wishOf(fields);
  return mount.act(root, { file, wish, how }, signal);
}

/** Whether it has ended after a while in which it could have. */
async function isWaiting(act: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(() => resolve('later'), 150));
  return (await Promise.race([act.catch(() => undefined), later])) === 'later';
}

describe('the locks of a mount', () => {
  it('are waited for until another owner of it gives them back', async () => {
    const { one } = await opened();
    await act(one, 'try');
    expect(await act(one, 'try', { owner: '2' })).toMatchObject({ agent: 'a', owner: '1' });
    const waiting = act(one, 'wait', { owner: '2' });
    expect(await isWaiting(waiting)).toBe(true);
    await act(one, 'try', { type: 'none' });
    expect(await waiting).toBeUndefined();
    expect(await act(one, 'test')).toMatchObject({ owner: '2', pid: 1 });
  });

  it('are waited for until another agent gives them back, makes them less, or is gone', async () => {
    const { agents, one, two } = await opened();
    await act(two, 'try');
    const shared = act(one, 'wait', { type: 'shared' });
    expect(await isWaiting(shared)).toBe(true);
    await act(two, 'try', { type: 'shared' });
    expect(await shared).toBeUndefined();
    const exclusive = act(one, 'wait');
    expect(await isWaiting(exclusive)).toBe(true);
    await agents.leave('b');
    expect(await exclusive).toBeUndefined();
  });

  it('of other nodes name no process', async () => {
    const { one, two } = await opened();
    await act(two, 'try', { pid: 4711 });
    expect(await act(one, 'test')).toMatchObject({ agent: 'b', pid: 0 });
    expect(await act(two, 'test', { owner: '2' })).toMatchObject({ agent: 'b', pid: 4711 });
  });

  it('are given up waiting for by who is interrupted, unless they were granted first', async () => {
    const { one, two } = await opened();
    await act(two, 'try');
    const signal = new AbortController();
    const waiting = act(one, 'wait', { signal: signal.signal });
    expect(await isWaiting(waiting)).toBe(true);
    signal.abort(new LeatError('interrupted', 'interrupted'));
    await refused('interrupted', waiting);
    await act(two, 'try', { type: 'none' });
    expect(await act(two, 'test')).toBeUndefined();
  });

  it('are asked for in order: what is given back first is free for who asks next', async () => {
    const { one } = await opened();
    for (let i = 0; i < 20; i++) {
      const back = act(one, 'try', { owner: `${i}`, type: 'none' });
      expect(await act(one, 'try', { owner: `${i + 1}` })).toBeUndefined();
      await back;
    }
  });
});

describe('owners of one mount who wait for each other', () => {
  it('are found, where the circle would close', async () => {
    const { one } = await opened();
    for (const [owner, start] of [
      ['1', 1n],
      ['2', 2n],
      ['3', 3n],
    ] as const)
      await act(one, 'try', { owner, start, end: start });
    const first = act(one, 'wait', { owner: '1', start: 2n, end: 2n });
    const second = act(one, 'wait', { owner: '2', start: 3n, end: 3n });
    expect(await isWaiting(first)).toBe(true);
    await refused('deadlock', act(one, 'wait', { owner: '3', start: 1n, end: 1n }));
    await act(one, 'try', { owner: '3', type: 'none' });
    await second;
    await act(one, 'try', { owner: '2', type: 'none' });
    await first;
  });

  it('are no circle when one of them has given back meanwhile what the other waits for', async () => {
    const { one } = await opened();
    await act(one, 'try', { owner: '1', start: 1n, end: 1n });
    await act(one, 'try', { owner: '2', start: 2n, end: 2n });
    const first = act(one, 'wait', { owner: '1', start: 2n, end: 2n });
    expect(await isWaiting(first)).toBe(true);
    await act(one, 'try', { owner: '2', type: 'none' });
    const second = act(one, 'wait', { owner: '2', start: 1n, end: 1n });
    expect(await first).toBeUndefined();
    expect(await isWaiting(second)).toBe(true);
    await act(one, 'try', { owner: '1', type: 'none' });
    expect(await second).toBeUndefined();
  });

  it('of flock are not looked for: one that waits has nothing that others could wait for', async () => {
    const { one, two } = await opened();
    const whole = { space: 'whole' } as const;
    await act(one, 'try', { ...whole, type: 'shared' });
    await act(two, 'try', { ...whole, type: 'shared' });
    const all = [act(one, 'wait', whole), act(two, 'wait', whole)];
    await Promise.race(all);
    for (const mount of [one, two]) await act(mount, 'try', { ...whole, type: 'none' });
    expect(await Promise.all(all)).toEqual([undefined, undefined]);
  });
});

describe('a mount', () => {
  it('whose agent was forgotten begins anew', async () => {
    const { one, two, advance, agents, rows, clock } = await opened();
    const { sweepLocks } = await import('#shared/namespace/locks.ts');
    await act(one, 'try');
    advance(3_600_000);
    await agents.join('b');
    await agents.forgetAbsent();
    await sweepLocks({ metastore: rows, clock, random: Math.random });
    await refused('noLocks', act(one, 'try'));
    await agents.join('a');
    expect(await act(one, 'try', { owner: '2' })).toBeUndefined();
    expect(await act(two, 'test')).toMatchObject({ agent: 'a', owner: '2' });
  });

  it('that another has followed takes no locks any more', async () => {
    const { one, mount } = await opened();
    await act(one, 'try');
    const next = await mount('a', 'a2');
    await next.begun;
    await refused('noLocks', act(one, 'try'));
    expect(await act(next, 'try')).toBeUndefined();
  });

  it('begins when it can, and gives back behind what it could not give back at once', async () => {
    let isDown = true;
    const { one, two, logged } = await opened((namespace) => {
      const reached = () => {
        if (isDown) throw new LeatError('unavailable', 'the API is down');
        return namespace;
      };
      return {
        lock: async (...asked) => reached().lock(...asked),
        beginLocks: async (...asked) => reached().beginLocks(...asked),
      };
    });
    await refused('noLocks', act(one, 'try'));
    isDown = false;
    expect(await act(one, 'try')).toBeUndefined();
    isDown = true;
    await refused('noLocks', act(one, 'try', { type: 'none' }));
    isDown = false;
    expect(await act(two, 'wait')).toBeUndefined();
    expect(logged).toEqual([expect.stringMatching(/not be given back yet: .*the API is down/)]);
  });
});
