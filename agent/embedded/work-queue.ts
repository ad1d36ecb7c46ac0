import { invariant, LeatError } from '#shared/model/faults.ts';
import type { Clock } from '#shared/ports/clock.ts';
import { DELIVERIES_MAX, type Delivery, MESSAGE_BYTES_MAX, type WorkQueue } from '#shared/ports/work-queue.ts';

interface Message {
  readonly number: number;
  readonly body: string;
  times: number;
  /** Nobody gets it before; in milliseconds since the epoch. */
  due: number;
}

/** A queue of this process, gone with it. Oldest first, as far as messages are due. */
export function localWorkQueue({ clock }: { readonly clock: Clock }): WorkQueue {
  const messages = new Map<number, Message>();
  const waiting = new Set<() => void>();
  let sent = 0;

  /** Of this very delivery; undefined when another has been made since, or it is done. */
  const heldAs = ({ receipt }: Delivery): Message | undefined => {
    const [number, times] = receipt.split('/').map(Number);
    const message = messages.get(number ?? 0);
    return message?.times === times ? message : undefined;
  };

  const take = (limit: number, holdMs: number): Delivery[] => {
    const now = clock();
    const taken: Delivery[] = [];
    for (const message of messages.values()) {
      if (taken.length === limit) break;
      if (message.due > now) continue;
      Object.assign(message, { times: message.times + 1, due: now + holdMs });
      const { number, body, times } = message;
      taken.push({ body, times, receipt: `${number}/${times}` });
    }
    return taken;
  };

  const wake = () => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };

  /** Until there may be something, or `until`. */
  const pause = async (until: number, signal: AbortSignal | undefined): Promise<void> => {
    const next = Math.min(until, ...[...messages.values()].map(({ due }) => due));
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakeUp = () => resolve();
    waiting.add(wakeUp);
    signal?.addEventListener('abort', wakeUp);
    const timer = setTimeout(wakeUp, Math.max(0, next - clock()));
    await promise;
    clearTimeout(timer);
    waiting.delete(wakeUp);
    signal?.removeEventListener('abort', wakeUp);
  };

  return {
    async send(bodies, { delayMs = 0 } = {}) {
      const tooLarge = bodies.map((body) => Buffer.byteLength(body)).find((size) => size > MESSAGE_BYTES_MAX);
      if (tooLarge !== undefined) {
        throw new LeatError('tooLarge', `a message of ${tooLarge} bytes: a queue takes ${MESSAGE_BYTES_MAX} at most`);
      }
      for (const body of bodies) {
        messages.set(++sent, { number: sent, body, times: 0, due: clock() + delayMs });
      }
      wake();
    },
    async receive({ limit, waitMs, holdMs, signal }) {
      invariant(limit <= DELIVERIES_MAX, `${limit} messages at a time, over ${DELIVERIES_MAX}`);
      const until = clock() + waitMs;
      for (;;) {
        if (signal?.aborted) return [];
        const taken = take(limit, holdMs);
        if (taken.length > 0 || clock() >= until) return taken;
        await pause(until, signal);
      }
    },
    async done(deliveries) {
      for (const delivery of deliveries) {
        const message = heldAs(delivery);
        if (message) messages.delete(message.number);
      }
    },
    async hold(deliveries, holdMs) {
      for (const delivery of deliveries) {
        const message = heldAs(delivery);
        if (message) message.due = clock() + holdMs;
      }
      wake();
    },
  };
}
