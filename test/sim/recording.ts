import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';
import type { Metastore, NewId, RowKey } from '#shared/ports/metastore.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import { randomFrom } from '../support/yielding-metastore.ts';
import { type Heard, lookAround, recorded, setUp } from './history.ts';
import type { Call } from './linearizability.ts';
import { type Operation, perform } from './operations.ts';
import { drawOperation, EVERYTHING } from './scenarios.ts';

const EXECUTORS = 4;
const CLIENTS = 8;
/** Of calls of the metastore. */
const LOST_RATE = 0.006;
const DUPLICATE_RATE = 0.05;
/** Of operations: their clients go on and never hear of them. */
const TIMEOUT_RATE = 0.02;
const DELAY_MS_MAX = 2;
const PATIENCE_MS_MAX = 10;
/** So many times faster than the world goes the clock, and shorter are the sleeps: leases of the dead end in seconds. */
const SPEED = 4;

export interface Engine {
  readonly metastore: Metastore;
  readonly newId: NewId;
  readonly directoryIdOf?: (key: RowKey) => InodeId;
}

interface Recording {
  readonly history: readonly Call[];
  readonly setup: ReadonlyMap<InodeId, string>;
}

interface Executor {
  readonly namespace: RunningNamespace;
  /** Resolves when it dies, with when nothing that it has sent is under way any more. */
  readonly death: Promise<{ readonly over: Promise<unknown> }>;
  die(): void;
}

/**
 * What clients are told who work at the same places through several executors on one real engine, while requests and answers
 * are lost, commits arrive twice, clients give up, and one executor after the other dies and is replaced.
 */
export async function record(
  engine: Engine,
  { seed, operations }: { readonly seed: number; readonly operations: number },
): Promise<Recording> {
  const random = randomFrom(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item;
  const history: Call[] = [];
  let ticks = 0;
  const tick = () => ++ticks;
  const founder = await openExecutor(engine, () => 1);
  const setup = await setUp(founder.namespace, EVERYTHING);
  const executors = await Promise.all(Array.from({ length: EXECUTORS }, () => openExecutor(engine, random)));

  const ask = async (name: string, operation: Operation): Promise<Heard> => {
    const { namespace, death } = pick(executors);
    const answer = perform(namespace, operation, { name });
    const isImpatient = random() < TIMEOUT_RATE;
    const timeout = () =>
      sleep(random() * PATIENCE_MS_MAX).then(() => ({ over: Promise.race([answer, death.then(({ over }) => over)]) }));
    return Promise.race([answer, death, ...(isImpatient ? [timeout()] : [])]);
  };
  const client = async (number: number) => {
    for (let left = operations / CLIENTS; left > 0; left--) {
      const operation = drawOperation(pick, EVERYTHING);
      const name = `c${number}-${history.length}`;
      await recorded({ name, operation }, { history, tick }, () => ask(name, operation));
    }
  };
  const replacing = async () => {
    for (const [i, share] of [0.3, 0.6].entries()) {
      while (history.length < share * operations) await sleep(1);
      executors[i]?.die();
      executors[i] = await openExecutor(engine, random);
    }
  };
  await Promise.all([replacing(), ...Array.from({ length: CLIENTS }, (_, number) => client(number))]);
  await lookAround(founder.namespace, { history, tick });
  await Promise.all([founder, ...executors].map(({ namespace }) => namespace.close()));
  return { history, setup };
}

let tokens = 0;

async function openExecutor(engine: Engine, random: () => number): Promise<Executor> {
  const death = Promise.withResolvers<{ readonly over: Promise<unknown> }>();
  const sent = new Set<Promise<unknown>>();
  let isDead = false;
  // What a start that fails says is not looked into here.
  let isStarted = false;
  const chance = () => (isStarted ? random() : 1);
  const start = Date.now();
  const namespace = await createNamespace({
    ...engine,
    metastore: unreliable(engine.metastore, { chance, sent, isDead: () => isDead }),
    clock: () => start + (Date.now() - start) * SPEED,
    sleep: (ms) => sleep(ms / SPEED),
    newToken: () => String(++tokens).padStart(12, '0'),
    storeOf: () => memoryUnderStore(),
    isShared: true,
    owner: { uid: 0, gid: 0 },
    log: () => {},
    random,
  });
  isStarted = true;
  return {
    namespace,
    death: death.promise,
    die() {
      isDead = true;
      death.resolve({ over: Promise.allSettled(sent) });
    },
  };
}

interface Trouble {
  readonly chance: () => number;
  /** What is under way. */
  readonly sent: Set<Promise<unknown>>;
  readonly isDead: () => boolean;
}

/** Whoever is dead sends nothing more and hears nothing more. */
function unreliable(metastore: Metastore, { chance, sent, isDead }: Trouble): Metastore {
  const lost = () => new LeatError('unavailable', 'lost on the way');
  async function call<Result>(act: () => Promise<Result>): Promise<Result> {
    await sleep(chance() * DELAY_MS_MAX);
    if (isDead()) await never;
    if (chance() < LOST_RATE) throw lost();
    const acting = act();
    sent.add(acting);
    const result = await acting.finally(() => sent.delete(acting));
    await sleep(chance() * DELAY_MS_MAX);
    if (isDead()) await never;
    if (chance() < LOST_RATE) throw lost();
    return result;
  }
  return {
    ...metastore,
    get: (keys) => call(() => metastore.get(keys)),
    list: (directory, options) => call(() => metastore.list(directory, options)),
    commit: (changes, options) =>
      call(async () => {
        if (chance() > DUPLICATE_RATE) return metastore.commit(changes, options);
        const request = { ...options, token: `twice-${++tokens}` };
        const [first] = await Promise.all([metastore.commit(changes, request), metastore.commit(changes, request)]);
        return first;
      }),
    close: async () => {},
  };
}

const never = new Promise<never>(() => {});
