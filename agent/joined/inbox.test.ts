import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoggedChange } from '#shared/feed/changes.ts';
import { toMessage } from '#shared/feed/inbox-message.ts';
import type { LogRecord } from '#shared/feed/log.ts';
import { LeatError } from '#shared/model/faults.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Delivery } from '#shared/ports/work-queue.ts';
import { file } from '../../test/contract/metastore.contract.ts';
import { Inbox } from './inbox.ts';

const change = (name: string, version: number): LoggedChange => ({
  key: { directory: ROOT, name: name as Name },
  before: undefined,
  after: file(1, version),
  isCut: false,
});

/** A table, its log, a queue that does what it wants, and an agent that knows some rows. */
function world() {
  const table = new Map<string, number>();
  const log: LogRecord[] = [];
  const queue: Delivery[] = [];
  const known = new Map<string, number>();
  const done: string[] = [];
  const counts = { lost: 0, applied: [] as number[], reads: 0, warned: [] as string[] };
  let firstKept = 1;
  let saved: number | undefined;
  const never = new AbortController().signal;

  const open = () =>
    new Inbox({
      queue: {
        receive: async ({ limit }) => queue.splice(0, limit),
        done: async (deliveries) => void done.push(...deliveries.map(({ body }) => body)),
      },
      log: {
        async read(after) {
          counts.reads++;
          const isGap = after + 1 < firstKept || after > log.length;
          return { records: isGap ? [] : log.slice(after, after + 2), isGap };
        },
        last: async () => log.length,
      },
      cursor: { load: () => saved, save: (sequence) => void (saved = sequence) },
      apply(changes) {
        for (const { key } of changes) known.delete(key.name);
        counts.applied.push(...changes.map(({ after }) => after?.version ?? 0));
      },
      lost() {
        known.clear();
        counts.lost++;
      },
      sleep: async () => {},
      warn: (line) => void counts.warned.push(line),
    });
  return {
    table,
    known,
    queue,
    done,
    counts,
    open,
    turn: (inbox: Inbox) => inbox.turn(0, never),
    write(name: string, { isSent = true } = {}) {
      const version = log.length + 1;
      table.set(name, version);
      const record = { sequence: version, changes: [change(name, version)] };
      log.push(record);
      if (isSent) queue.push({ body: toMessage(record), receipt: '', times: 1 });
      return version;
    },
    /** The log keeps what is from this number on. */
    forget: (number: number) => void (firstKept = Math.max(firstKept, number)),
    read: (name: string) => void known.set(name, table.get(name) ?? 0),
  };
}

describe('Inbox', () => {
  it('begins with nothing known, at the end of the log', async () => {
    const { open, write, counts, queue } = world();
    write('a');
    queue.length = 0;
    await open().catchUp();
    expect(counts).toMatchObject({ lost: 1, applied: [] });
  });

  it('applies what comes in sequence without reading the log', async () => {
    const { open, write, turn, counts, done } = world();
    const inbox = open();
    await inbox.catchUp();
    counts.reads = 0;
    for (const name of ['a', 'b', 'c']) write(name);
    await turn(inbox);
    expect(counts).toMatchObject({ lost: 1, applied: [1, 2, 3], reads: 0 });
    expect(done).toHaveLength(3);
  });

  it('reads what is missing from the log, and drops what it has had', async () => {
    const { open, write, turn, counts, queue } = world();
    const inbox = open();
    await inbox.catchUp();
    for (const name of ['a', 'b', 'c']) write(name);
    const [first, , third] = queue.splice(0) as [Delivery, Delivery, Delivery];
    queue.push(third, first, third);
    await turn(inbox);
    expect(counts).toMatchObject({ lost: 1, applied: [1, 2, 3] });
  });

  it('looks into the log when nothing comes', async () => {
    const { open, write, turn, counts } = world();
    const inbox = open();
    await inbox.catchUp();
    write('a', { isSent: false });
    await turn(inbox);
    expect(counts.applied).toEqual([1]);
  });

  it('forgets all when the log does not reach back, and goes on from its end', async () => {
    const { open, write, turn, forget, counts, queue } = world();
    const inbox = open();
    await inbox.catchUp();
    for (const name of ['a', 'b', 'c']) write(name);
    queue.splice(0, 2);
    forget(3);
    await turn(inbox);
    expect(counts).toMatchObject({ lost: 2, applied: [] });
    write('d');
    await turn(inbox);
    expect(counts).toMatchObject({ lost: 2, applied: [4] });
  });

  it('goes on after a restart where it had come to', async () => {
    const { open, write, turn, counts, queue } = world();
    const inbox = open();
    await inbox.catchUp();
    write('a');
    await turn(inbox);
    write('b');
    queue.length = 0;
    await open().catchUp();
    expect(counts).toMatchObject({ lost: 1, applied: [1, 2] });
  });

  it('drops messages that are none of the log', async () => {
    const { open, turn, counts, queue, done } = world();
    const inbox = open();
    await inbox.catchUp();
    queue.push({ body: 'hello', receipt: '', times: 1 });
    await turn(inbox);
    expect(counts.warned).toEqual([expect.stringContaining("'hello' is no record")]);
    expect(done).toEqual(['hello']);
  });

  it('bears an outage of the queue, and ends when the queue is gone', async () => {
    const faults = [new LeatError('unavailable', 'no answer'), new LeatError('notFound', 'no such queue')];
    const warned: string[] = [];
    const inbox = new Inbox({
      queue: { receive: () => Promise.reject(faults.shift() as Error), done: async () => {} },
      log: { read: async () => ({ records: [], isGap: false }), last: async () => 0 },
      cursor: { load: () => 0, save: () => {} },
      apply: () => {},
      lost: () => {},
      sleep: async () => {},
      warn: (line) => void warned.push(line),
    });
    await expect(inbox.run(new AbortController().signal)).rejects.toMatchObject({ kind: 'notFound' });
    expect(warned).toEqual(['the feed of changes: no answer']);
  });

  it('ends with its signal', async () => {
    const { open } = world();
    await expect(open().run(AbortSignal.abort())).resolves.toBeUndefined();
  });

  const NAMES = ['a', 'b', 'c'];
  const name = fc.constantFrom(...NAMES);
  const step = fc.oneof(
    fc.record({ what: fc.constant('write' as const), name, isSent: fc.boolean() }),
    fc.record({ what: fc.constant('read' as const), name }),
    fc.record({ what: fc.constant('turn' as const) }),
    fc.record({ what: fc.constant('swap' as const), from: fc.nat(9), to: fc.nat(9) }),
    fc.record({ what: fc.constant('repeat' as const), from: fc.nat(9) }),
    fc.record({ what: fc.constant('drop' as const), from: fc.nat(9) }),
    fc.record({ what: fc.constant('forget' as const), share: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ what: fc.constant('restart' as const) }),
  );

  it('never lets a wrong row stay, whatever the queue drops, repeats and reorders, over restarts and gaps', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { table, known, queue, open, turn, write, read, forget } = world();
        let written = 0;
        let inbox = open();
        await inbox.catchUp();
        for (const each of steps) {
          if (each.what === 'write') written = write(each.name, each);
          else if (each.what === 'read') read(each.name);
          else if (each.what === 'turn') await turn(inbox);
          else if (each.what === 'forget') forget(Math.ceil((written * each.share) / 4) + 1);
          else if (each.what === 'restart') inbox = open();
          else if (each.what === 'drop') queue.splice(each.from, 1);
          else if (each.what === 'repeat') queue.push(...queue.slice(each.from, each.from + 1));
          else queue.splice(each.to, 0, ...queue.splice(each.from, 1));
        }
        while (queue.length > 0) await turn(inbox);
        await turn(inbox);
        expect([...known]).toEqual([...known].map(([key]) => [key, table.get(key) ?? 0]));
      }),
      { numRuns: 2000 },
    );
  });

  it('applies each record once and in order while it runs, as long as the log reaches back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { queue, open, turn, write, counts } = world();
        let written = 0;
        const inbox = open();
        await inbox.catchUp();
        for (const each of steps) {
          if (each.what === 'write') written = write(each.name, each);
          else if (each.what === 'turn') await turn(inbox);
          else if (each.what === 'drop') queue.splice(each.from, 1);
          else if (each.what === 'repeat') queue.push(...queue.slice(each.from, each.from + 1));
          else if (each.what === 'swap') queue.splice(each.to, 0, ...queue.splice(each.from, 1));
        }
        while (queue.length > 0) await turn(inbox);
        await turn(inbox);
        expect(counts.applied).toEqual(Array.from({ length: written }, (_, i) => i + 1));
        expect(counts.lost).toBe(1);
      }),
      { numRuns: 1000 },
    );
  });
});
