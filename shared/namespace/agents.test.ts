import { describe, expect, it } from 'vitest';
import { openers } from '../../test/support/metastores.ts';
import { refused } from '../../test/support/namespace.ts';
import { AGENT_LEASE_MS, Agents, parseAgentId } from './agents.ts';

const { heap } = openers();

async function opened() {
  const { metastore, clock, advance } = await heap();
  const open = new Set<string>();
  const inboxes = {
    async open(id: string) {
      open.add(`inbox of ${id}`);
      return `inbox of ${id}`;
    },
    async remove(inbox: string) {
      open.delete(inbox);
    },
  };
  const agents = new Agents({ metastore, inboxes, clock });
  return {
    agents,
    metastore,
    advance,
    clock,
    open,
    inboxes,
    ids: async () => (await agents.joined()).map(({ id }) => id),
  };
}

describe('agents that have joined', () => {
  it('stay as long as they renew', async () => {
    const { agents, advance, clock, ids } = await opened();
    const first = await agents.join('b');
    await agents.join('a');
    expect(first).toEqual({ id: 'b', inbox: 'inbox of b', until: clock() + AGENT_LEASE_MS });
    advance(AGENT_LEASE_MS - 1);
    expect(await agents.join('b')).toMatchObject({ inbox: 'inbox of b' });
    advance(1);
    expect(await ids()).toEqual(['b']);
    advance(AGENT_LEASE_MS);
    expect(await ids()).toEqual([]);
  });

  it('keep their inbox over a restart, and lose it when they do not come back', async () => {
    const { agents, advance, open, ids } = await opened();
    await agents.join('a');
    await agents.leave('a');
    expect(await ids()).toEqual([]);
    advance(60_000);
    expect([await agents.forgetAbsent(), open.size]).toEqual([0, 1]);
    await agents.join('a');
    await agents.join('b');
    await agents.leave('b');
    advance(600_000);
    await agents.join('a');
    advance(30_000);
    expect([await agents.forgetAbsent(), [...open]]).toEqual([1, ['inbox of a']]);
    await agents.leave('b');
    expect(await agents.join('b')).toMatchObject({ inbox: 'inbox of b' });
  });

  it('keep it when they come back just as it would be taken away', async () => {
    const { agents, metastore, advance, clock, open, inboxes } = await opened();
    await agents.join('a');
    advance(3_600_000);
    const late = new Agents({
      inboxes,
      clock,
      metastore: {
        ...metastore,
        async commit(changes, options) {
          await agents.join('a');
          return metastore.commit(changes, options);
        },
      },
    });
    expect([await late.forgetAbsent(), open.size]).toEqual([0, 1]);
  });

  it('know their rows from others', async () => {
    const [one, other] = [await opened(), await opened()];
    const identity = await one.agents.identity();
    expect(await one.agents.identity()).toBe(identity);
    expect(await other.agents.identity()).not.toBe(identity);
    expect([await one.ids(), await one.agents.forgetAbsent()]).toEqual([[], 0]);
  });

  it.each(['', '!identity', '-a', 'a/b', 'a'.repeat(41)])('are not called %j', async (id) => {
    await refused('invalid', (async () => parseAgentId(id))());
  });
});
