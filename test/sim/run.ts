import { faultsOf } from './invariants.ts';
import { type Call, judge, type Verdict } from './linearizability.ts';
import { type Answer, type Operation, operationText, perform } from './operations.ts';
import { drawOperation, type Scenario, SCENARIOS } from './scenarios.ts';
import { type Break, createWorld, type World } from './world.ts';
import { type Heard, type Log, lookAround, recorded, setUp } from './history.ts';
import { CALM, type Weather } from './network.ts';

export interface Run {
  readonly seed: number;
  readonly scenario: string;
  readonly history: readonly Call[];
  readonly faults: readonly string[];
  readonly steps: number;
  hash(): string;
  trace(): string;
}

export interface SimulateOptions {
  readonly broken?: Break;
  readonly among?: readonly Scenario[];
  readonly clientsMin?: number;
  readonly clientsMax?: number;
  /** Without an answer, with the same token. */
  readonly asksAgain?: AsksAgain;
  /**
   * Acts may take longer than leases. Then somebody may see what is taken back, so answers are not judged; but what was
   * acknowledged is kept.
   */
  readonly isStalling?: boolean;
}

const FOUL: Weather = { lostRequests: 0.02, lostAnswers: 0.04, duplicates: 0.08 };
const TRIES_MAX = 3;
const STALL_RATE = 0.05;
const STALL_MS_MAX = 15_000;
const CRASH_RATE = 0.4;
const CRASH_STEPS = 200;
const SWEEP_RATE = 0.5;

/** One schedule from one seed, with what was found wrong in it. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Run> {
  const {
    broken,
    among = SCENARIOS,
    clientsMin = 2,
    clientsMax = 5,
    asksAgain = 'never',
    isStalling = false,
  } = options;
  const world = await createWorld(seed, {
    executors: 3,
    isForetold: seed % 2 === 0,
    ...(broken && { broken }),
  });
  const { scheduler } = world;
  const scenario = scheduler.pick(among);
  const founder = await world.undisturbed();
  const made = await setUp(founder, scenario);
  // Rows that are older than a lease are settled; in some runs what is there at the start is so.
  if (scheduler.random() < 0.5) scheduler.now += 100_000;
  const history: Call[] = [];
  const bugs: string[] = [];
  let ticks = 0;
  const tick = () => ++ticks;
  world.weather = scheduler.random() < 0.5 ? FOUL : CALM;
  const clients = Array.from({ length: clientsMin + scheduler.below(clientsMax - clientsMin + 1) }, (_, client) =>
    actAsClient(world, scenario, { client, history, tick, asksAgain }),
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
    (step) => {
      if (step === crashAt) world.executors[crashing]?.die();
      if (isStalling && scheduler.random() < STALL_RATE) scheduler.now += scheduler.random() * STALL_MS_MAX;
    },
  );
  const stuck = hasEnded ? [] : ['somebody waits for ever'];
  const faults = hasEnded ? await faultsOf(world, history, made) : [];
  if (hasEnded && faults.length === 0 && !isStalling) {
    await lookAround(founder, { history, tick });
    faults.push(...unexplained(judge(history, made)));
  }
  return {
    seed,
    scenario: scenario.name,
    history,
    faults: [...bugs, ...stuck, ...faults],
    steps: scheduler.step,
    hash: () => scheduler.hash(),
    trace: () => scheduler.trace.join('\n'),
  };
}

type AsksAgain = 'never' | 'after failures' | 'soon';

interface Asking {
  readonly name: string;
  readonly strand: number;
  readonly asksAgain: AsksAgain;
}

interface Client extends Log {
  readonly client: number;
  readonly asksAgain: AsksAgain;
}

async function actAsClient(
  world: World,
  scenario: Scenario,
  { client, history, tick, asksAgain }: Client,
): Promise<void> {
  const { scheduler } = world;
  const strand = 100 + client;
  const pick = <Item>(items: readonly Item[]) => scheduler.pick(items);
  for (let left = 1 + scheduler.below(scenario.operationsMax); left > 0; left--) {
    const operation = drawOperation(pick, scenario);
    const name = `c${client}-${history.length}`;
    const begun = Promise.withResolvers<void>();
    scheduler.schedule({ strand, what: `${name} ${operationText(operation)}`, happen: begun.resolve });
    await begun.promise;
    const asking = { name, strand, asksAgain };
    const answer = await recorded({ name, operation }, { history, tick }, () => answerTo(world, operation, asking));
    scheduler.note(strand, `${name} ${answerText(answer)}`);
  }
}

/** Asks until there is an answer, of another executor each time if its client asks again. */
async function answerTo(world: World, operation: Operation, { name, strand, asksAgain }: Asking): Promise<Heard> {
  const { scheduler, executors } = world;
  const overs: Promise<unknown>[] = [];
  for (let tries = 1; ; tries++) {
    const executor = scheduler.pick(executors.filter(({ isAlive }) => isAlive));
    scheduler.note(strand, `${name} asks executor ${executor.strand}`);
    const request = { token: name, isRetry: tries > 1 };
    const answer = perform(executor.namespace, operation, { name, ...(asksAgain !== 'never' && { request }) });
    const patience = asksAgain === 'soon' && [
      scheduler.sleep(strand, scheduler.random() * 100).then(() => ({ over: answer })),
    ];
    const heard = await Promise.race([answer, executor.death, ...(patience || [])]);
    const isVague = 'over' in heard || heard.is === 'unknown';
    if (!isVague) return heard;
    if ('over' in heard) overs.push(heard.over);
    if (asksAgain === 'never' || tries === TRIES_MAX) return overs.length > 0 ? { over: Promise.all(overs) } : heard;
  }
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

function unexplained(verdict: Verdict): readonly string[] {
  if (verdict.is === 'linearizable') return [];
  if (verdict.is === 'undecided') return ['its history has too many explanations to try'];
  return [`no order of effects explains the answer to ${verdict.by}, when the tree was\n${verdict.tree}`];
}

function answerText(answer: Answer): string {
  if (answer.is === 'refused') return `is refused: ${answer.kind}`;
  if (answer.is === 'unknown') return 'gets no answer';
  return `is done${answer.entries ? `: ${Object.keys(answer.entries).join(' ')}` : ''}`;
}

export function reportOf({ seed, scenario, faults, trace }: Run): string {
  return `seed ${seed} (LEAT_SIM_SEED=${seed}), ${scenario}:\n${faults.join('\n')}\n\n${trace()}`;
}
