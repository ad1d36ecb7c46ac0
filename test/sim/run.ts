import type { InodeId } from '#shared/model/ids.ts';
import { faultsOf } from './invariants.ts';
import { type Answer, type Operation, operationText, perform } from './operations.ts';
import { drawOperation, type Scenario, SCENARIOS } from './scenarios.ts';
import { type Break, createWorld, type Executor, type World } from './world.ts';
import { CALM, type Weather } from './network.ts';

/** One operation of one client, by when it was asked for and answered, in the order of all. */
export interface Call {
  readonly name: string;
  readonly client: number;
  readonly operation: Operation;
  readonly asked: number;
  /** Never, of one whose outcome is unknown. */
  answered: number;
  answer: Answer;
}

export interface Run {
  readonly seed: number;
  readonly scenario: string;
  readonly history: readonly Call[];
  readonly faults: readonly string[];
  readonly steps: number;
  hash(): string;
  trace(): string;
}

const FOUL: Weather = { lostRequests: 0.02, lostAnswers: 0.04, duplicates: 0.08 };
const CLIENTS_MAX = 4;
const OPERATIONS_MAX = 4;
const CRASH_RATE = 0.4;
const CRASH_STEPS = 200;
const SWEEP_RATE = 0.5;

/** One schedule from one seed, with what was found wrong in it. */
export async function simulate(seed: number, broken?: Break): Promise<Run> {
  const world = await createWorld(seed, {
    executors: 3,
    isForetold: seed % 2 === 0,
    ...(broken && { broken }),
  });
  const { scheduler } = world;
  const scenario = scheduler.pick(SCENARIOS);
  const made = await setUp(world, scenario);
  const history: Call[] = [];
  const bugs: string[] = [];
  let ticks = 0;
  const tick = () => ++ticks;
  world.weather = scheduler.random() < 0.5 ? FOUL : CALM;
  const clients = Array.from({ length: 2 + scheduler.below(CLIENTS_MAX - 1) }, (_, client) =>
    actAsClient(world, { client, scenario, history, tick }),
  );
  const sweeping = scheduler.random() < SWEEP_RATE ? sweep(world) : Promise.resolve();
  let isOver = false;
  void Promise.all([...clients, sweeping])
    .catch((error: unknown) => bugs.push(`a bug: ${error instanceof Error ? error.stack : String(error)}`))
    .then(() => (isOver = true));
  const crashAt = scheduler.random() < CRASH_RATE ? scheduler.below(CRASH_STEPS) : -1;
  const crashing = scheduler.below(world.executors.length);
  const hasEnded = await scheduler.run(
    () => isOver,
    (step) => void (step === crashAt && world.executors[crashing]?.die()),
  );
  const stuck = hasEnded ? [] : ['somebody waits for ever'];
  return {
    seed,
    scenario: scenario.name,
    history,
    faults: [...bugs, ...stuck, ...(hasEnded ? await faultsOf(world, history, made) : [])],
    steps: scheduler.step,
    hash: () => scheduler.hash(),
    trace: () => scheduler.trace.join('\n'),
  };
}

async function setUp(world: World, { setup }: Scenario): Promise<ReadonlyMap<InodeId, string>> {
  const founder = await world.undisturbed();
  const made = new Map<InodeId, string>();
  for (const path of setup) {
    const act = path.endsWith('/') ? 'mkdir' : 'create';
    const operation = { act, path: path.replace(/\/$/, '') } as const;
    const answer = await perform(founder, operation, { name: 'setup' });
    if (answer.is === 'done' && answer.id !== undefined) made.set(answer.id, path);
  }
  // Rows that are older than a lease are settled; in some runs what is there at the start is so.
  if (world.scheduler.random() < 0.5) world.scheduler.now += 100_000;
  return made;
}

interface Client {
  readonly client: number;
  /** Orders what is asked and answered. */
  readonly tick: () => number;
  readonly scenario: Scenario;
  readonly history: Call[];
}

async function actAsClient(world: World, { client, scenario, history, tick }: Client): Promise<void> {
  const { scheduler } = world;
  const strand = 100 + client;
  for (let left = 1 + scheduler.below(OPERATIONS_MAX); left > 0; left--) {
    const operation = drawOperation(scheduler, scenario);
    const name = `c${client}-${history.length}`;
    const begun = Promise.withResolvers<void>();
    scheduler.schedule({ strand, what: `${name} ${operationText(operation)}`, happen: begun.resolve });
    await begun.promise;
    const executor = scheduler.pick(world.executors.filter(({ isAlive }) => isAlive));
    scheduler.note(strand, `${name} asks executor ${executor.strand}`);
    const call: Call = { name, client, operation, asked: tick(), answered: Infinity, answer: { is: 'unknown' } };
    history.push(call);
    call.answer = await answerFrom(executor, call);
    if (call.answer.is !== 'unknown') call.answered = tick();
    scheduler.note(strand, `${name} ${answerText(call.answer)}`);
  }
}

function answerFrom(executor: Executor, { operation, name }: Call): Promise<Answer> {
  const dead = executor.death.then((): Answer => ({ is: 'unknown' }));
  return Promise.race([perform(executor.namespace, operation, { name }), dead]);
}

/** What is done behind where rows are shared: by a sweep now and then. */
async function sweep({ scheduler, executors }: World): Promise<void> {
  for (let rounds = 0; rounds < 2; rounds++) {
    await scheduler.sleep(200, scheduler.random() * 20_000);
    const executor = executors.find(({ isAlive }) => isAlive);
    if (!executor) return;
    const swept = executor.namespace.catchUp(() => false).catch(() => 0);
    await Promise.race([swept, executor.death]);
  }
}

function answerText(answer: Answer): string {
  if (answer.is === 'refused') return `is refused: ${answer.kind}`;
  if (answer.is === 'unknown') return 'gets no answer';
  return `is done${answer.entries ? `: ${Object.keys(answer.entries).join(' ')}` : ''}`;
}

export function reportOf({ seed, scenario, faults, trace }: Run): string {
  return `seed ${seed} (LEAT_SIM_SEED=${seed}), ${scenario}:\n${faults.join('\n')}\n\n${trace()}`;
}
