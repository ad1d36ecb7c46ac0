import { ABOVE_ROOT, type InodeId, ROOT, TRASH } from '#shared/model/ids.ts';
import { idText } from './network.ts';
import { operationText, perform } from './operations.ts';
import { type Departure, type Rows, rowsAfter } from './rows.ts';
import type { Call } from './linearizability.ts';
import type { World } from './world.ts';

/** Longer than any lease, and than what clocks differ by. */
const LATER_MS = 60_000;
const REMOVERS: readonly string[] = ['unlink', 'rmdir', 'removeTree', 'rename'];

/** What is wrong once nobody moves any more. */
export async function faultsOf(
  world: World,
  history: readonly Call[],
  setup: ReadonlyMap<InodeId, string>,
): Promise<string[]> {
  const calls = new Map(history.map((call) => [call.name, call]));
  const before = rowsAfter(world.commits);
  const found = [
    ...before.circles,
    ...faultsOfAnswers(before, history),
    ...before.departures.flatMap((departure) => faultsOfDeparture(before, departure, calls)),
    ...faultsOfLosses(before, acknowledged(history, setup)),
  ];
  if (found.length > 0) return found;
  const locked = await faultsOfLocks(world, before);
  const after = rowsAfter(world.commits);
  return [...locked, ...faultsOfPlaces(after), ...faultsOfRemains(after, calls)];
}

/** What was said to have been made, and by whom. */
function acknowledged(history: readonly Call[], setup: ReadonlyMap<InodeId, string>): ReadonlyMap<InodeId, string> {
  const made = new Map(setup);
  for (const { operation, answer, name } of history) {
    const isMade = (operation.act === 'create' || operation.act === 'mkdir') && answer.is === 'done';
    if (isMade && answer.id !== undefined) made.set(answer.id, `${name} ${operationText(operation)}`);
  }
  return made;
}

function faultsOfAnswers({ departures, births }: Rows, history: readonly Call[]): string[] {
  return history.flatMap(({ operation, answer, name }) => {
    const what = `${name} ${operationText(operation)}`;
    if (answer.is !== 'done') return [];
    const removed = departures.filter(({ by }) => by === name).length;
    const isRemoval = ['unlink', 'rmdir', 'removeTree'].includes(operation.act);
    if (isRemoval && removed !== 1) return [`${what} was done, and took ${removed} inodes away`];
    const isMaking = operation.act === 'create' || operation.act === 'mkdir';
    if (isMaking && births.get(answer.id ?? ROOT)?.by !== name) return [`${what} was done, and made nothing`];
    return [];
  });
}

/** Only who was asked to may take something away, and not if he says that he did not. */
function faultsOfDeparture(
  { births, departures }: Rows,
  { id, by, isTree }: Departure,
  calls: ReadonlyMap<string, Call>,
): string[] {
  if (by === undefined) return []; // taken out of the trash, below a tree
  const call = calls.get(by);
  if (!call) return [];
  const what = `${by} ${operationText(call.operation)}`;
  const isOwn = births.get(id)?.by === by;
  // Where a whole tree went, what was made in it counts as made before.
  const isInTree = departures.some((each) => each.isTree && each.id === births.get(id)?.key.directory);
  if (isOwn) return call.answer.is === 'done' && !isInTree ? [`${what} was done, and took back what it had made`] : [];
  if (!REMOVERS.includes(call.operation.act)) return [`${what} removed an inode`];
  if (call.answer.is === 'refused') return [`${what} was refused, and removed ${idText(id)}`];
  return isTree && call.operation.act !== 'removeTree' ? [`${what} removed a tree`] : [];
}

/** What was acknowledged is where a path leads, or went with somebody who was asked to remove it or a tree that it was in. */
function faultsOfLosses(rows: Rows, made: ReadonlyMap<InodeId, string>): string[] {
  const departed = new Map(rows.departures.map((each) => [each.id, each]));
  const isGoneWithTree = (id: InodeId, depth = 0): boolean => {
    const [place] = rows.places.get(id) ?? [];
    if (place?.key.directory === TRASH) return true;
    const departure = departed.get(id);
    if (departure?.isTree) return true;
    const above = place?.key.directory ?? (departure?.by === undefined ? departure?.from.directory : undefined);
    return above !== undefined && depth < 20 && isGoneWithTree(above, depth + 1);
  };
  return [...made].flatMap(([id, what]) => {
    const departure = departed.get(id);
    const isReachable = rows.reachable.has(id);
    const isRemoved = departure?.by !== undefined;
    if (isReachable) return isRemoved ? [`${idText(id)} (${what}) was removed, and is there again`] : [];
    return isRemoved || isGoneWithTree(id) ? [] : [`${idText(id)} (${what}) is gone, and nobody has removed it`];
  });
}

/** Later, when all leases are over, nobody is held up by what is left of others. */
async function faultsOfLocks(world: World, { reachable, places }: Rows): Promise<string[]> {
  world.scheduler.now += LATER_MS;
  const namespace = await world.undisturbed();
  await namespace.catchUp(() => false);
  const began = world.scheduler.now;
  const faults: string[] = [];
  const directories = [...reachable].filter(([id]) => places.get(id)?.[0]?.inode.kind === 'directory');
  for (const path of ['', ...directories.map(([, each]) => each)]) {
    const probe = `${path}/probe`;
    const made = await perform(namespace, { act: 'create', path: probe }, { name: 'probe' });
    const removed = await perform(namespace, { act: 'unlink', path: probe }, { name: 'probe' });
    if (made.is !== 'done' || removed.is !== 'done') faults.push(`${probe} cannot be made: ${JSON.stringify(made)}`);
  }
  if (world.scheduler.now > began) faults.push('a mark whose lease is over holds somebody up');
  return faults;
}

/** The record of every directory says where it is, and no other directory is said to be anywhere. */
function faultsOfPlaces({ keptAt, places, reachable }: Rows): string[] {
  const faults: string[] = [];
  for (const [id, path] of reachable) {
    const [place] = places.get(id) ?? [];
    if (place?.inode.kind !== 'directory') continue;
    const at = keptAt.get(id);
    const isRight = at?.directory === place.key.directory && at.name === place.key.name;
    if (!isRight)
      faults.push(`${path}: its record says ${at?.directory ? `${idText(at.directory)}/${at.name}` : 'nothing'}`);
  }
  for (const [id, at] of keptAt) {
    const isThere = places.get(id)?.some(({ key }) => key.directory === at.directory && key.name === at.name);
    if (at.directory !== undefined && at.directory !== ABOVE_ROOT && !isThere)
      faults.push(`${idText(id)} is said to be where it is not`);
  }
  return faults;
}

/** Rows that no path leads to are of those who died, or whose answers were lost. */
function faultsOfRemains({ places, reachable, births }: Rows, calls: ReadonlyMap<string, Call>): string[] {
  return [...places].flatMap(([id, kept]) => {
    const [place] = kept;
    if (kept.length > 1) return [`${idText(id)} is kept in ${kept.length} places`];
    if (reachable.has(id) || id === ROOT || !place) return [];
    const by = births.get(id)?.by;
    const call = calls.get(by ?? '');
    if (call?.answer.is === 'unknown') return [];
    const where = `${idText(place.key.directory)}/${place.key.name}`;
    return [
      `${idText(id)} at ${where}, made by ${call ? `${by} ${operationText(call.operation)}` : by}, is a row that no path leads to`,
    ];
  });
}
