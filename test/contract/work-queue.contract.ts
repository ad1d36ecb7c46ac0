import { describe, expect, it } from 'vitest';
import { type Delivery, held, type WorkQueue } from '#shared/ports/work-queue.ts';

const HOLD_MS = 30_000;
/** For what is certainly there already: engines look into all their places only when they may wait. */
const SOON_MS = 2000;

/** Receives until it has so many messages, and answers them by body. */
async function gather(queue: WorkQueue, count: number, holdMs = HOLD_MS): Promise<Delivery[]> {
  const found: Delivery[] = [];
  while (found.length < count) found.push(...(await queue.receive({ limit: 10, waitMs: SOON_MS, holdMs })));
  return found.toSorted((a, b) => (a.body < b.body ? -1 : 1));
}

const bodiesOf = (deliveries: readonly Delivery[]) => deliveries.map(({ body }) => body);

/** `open`: a queue of its own, empty. */
export function workQueueContract(name: string, open: () => Promise<WorkQueue>): void {
  describe(`WorkQueue contract: ${name}`, () => {
    it('delivers what was sent, whatever it is and however much', async () => {
      const queue = await open();
      const bodies = ['{"a":1}', '\t\n', 'é\u{1F30A}', ...Array.from({ length: 20 }, (_, i) => `m${i}`)].toSorted();
      await queue.send(bodies);
      const found = await gather(queue, bodies.length);
      expect(bodiesOf(found)).toEqual(bodies);
      expect(found.every(({ times }) => times === 1)).toBe(true);
    });

    it('sends many large ones at once, and refuses one that is too large', async () => {
      const queue = await open();
      const bodies = Array.from({ length: 4 }, (_, i) => `${i}`.padEnd(200_000, 'x'));
      await queue.send(bodies);
      expect(bodiesOf(await gather(queue, 4))).toEqual(bodies);
      await expect(queue.send(['x'.repeat(256 * 1024 + 1)])).rejects.toMatchObject({ kind: 'tooLarge' });
    });

    it('answers none when nothing comes, and no more than were asked for', async () => {
      const queue = await open();
      expect(await queue.receive({ limit: 10, waitMs: 0, holdMs: HOLD_MS })).toEqual([]);
      await queue.send(['a', 'b', 'c']);
      expect((await queue.receive({ limit: 2, waitMs: SOON_MS, holdMs: HOLD_MS })).length).toBeLessThanOrEqual(2);
    });

    it('hands over what comes while somebody waits', async () => {
      const queue = await open();
      const waiting = queue.receive({ limit: 10, waitMs: 10_000, holdMs: HOLD_MS });
      await queue.send(['late']);
      expect(bodiesOf(await waiting)).toEqual(['late']);
    });

    it('ends a wait with its signal', async () => {
      const queue = await open();
      const ended = new AbortController();
      const waiting = queue.receive({ limit: 10, waitMs: 20_000, holdMs: HOLD_MS, signal: ended.signal });
      ended.abort();
      expect(await waiting).toEqual([]);
      expect(await queue.receive({ limit: 1, waitMs: 20_000, holdMs: HOLD_MS, signal: ended.signal })).toEqual([]);
    });

    it('keeps what is held from others, and what is done from everybody', async () => {
      const queue = await open();
      await queue.send(['held', 'over', 'done']);
      const [done, ofOne, over] = await gather(queue, 3);
      await queue.done([done as Delivery]);
      expect(await queue.receive({ limit: 10, waitMs: 0, holdMs: HOLD_MS })).toEqual([]);
      await queue.hold([ofOne as Delivery, over as Delivery], 0);
      const again = await gather(queue, 2);
      expect(bodiesOf(again)).toEqual(['held', 'over']);
      expect(again.map(({ times }) => times)).toEqual([2, 2]);
    });

    it('delivers again what is not done when its hold ends', async () => {
      const queue = await open();
      await queue.send(['a']);
      await gather(queue, 1, 1000);
      expect((await gather(queue, 1))[0]).toMatchObject({ body: 'a', times: 2 });
    });

    it('holds as long as somebody works', async () => {
      const queue = await open();
      await queue.send(['long']);
      const [delivery] = await gather(queue, 1, 2000);
      const others: Delivery[] = [];
      await held(queue, delivery as Delivery, {
        holdMs: 2000,
        work: async () => others.push(...(await queue.receive({ limit: 1, waitMs: 4000, holdMs: HOLD_MS }))),
      });
      expect(others).toEqual([]);
      await queue.done([delivery as Delivery]);
    });

    it('delivers what is delayed, later', async () => {
      const queue = await open();
      await queue.send(['later'], { delayMs: 1000 });
      expect(await queue.receive({ limit: 1, waitMs: 0, holdMs: HOLD_MS })).toEqual([]);
      expect(bodiesOf(await gather(queue, 1))).toEqual(['later']);
    });

    it('bears being told twice that something is done', async () => {
      const queue = await open();
      await queue.send(['a']);
      const found = await gather(queue, 1);
      await queue.done(found);
      await queue.done(found);
      await queue.hold(found, HOLD_MS);
      expect(await queue.receive({ limit: 1, waitMs: 0, holdMs: HOLD_MS })).toEqual([]);
    });

    it('lets each of many receivers have its own', async () => {
      const queue = await open();
      const bodies = Array.from({ length: 30 }, (_, i) => `m${i}`).toSorted();
      await queue.send(bodies);
      const found: string[] = [];
      const receiver = async () => {
        while (found.length < bodies.length) {
          const some = await queue.receive({ limit: 3, waitMs: 1000, holdMs: HOLD_MS });
          await queue.done(some);
          found.push(...bodiesOf(some));
        }
      };
      await Promise.all([receiver(), receiver(), receiver()]);
      expect(found.toSorted()).toEqual(bodies);
    });
  });
}
