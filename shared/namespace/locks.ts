import { LeatError } from '../model/faults.ts';
import { type InodeId, inodeNumber, LOCK_SESSIONS, LOCKS } from '../model/ids.ts';
import type { RecordRow, Row } from '../model/inode.ts';
import { granted, type Lock, locksInTheWay, type LockWish } from '../model/locks.ts';
import type { Name } from '../model/names.ts';
import type { Metastore, RowKey } from '../ports/metastore.ts';
import { SELF } from './access.ts';
import { agentKey, type JoinedAgent } from './agents.ts';
import { allRows } from './all-rows.ts';
import { commit, type Context, retriedFor } from './context.ts';
import type { Actor, HeldLock, LockSession } from './namespace.ts';
import { keptIn, recordAt, replaceRecord } from './records.ts';

/** Some 200 bytes each in the one record of a file, which is read and written with every lock. */
const LOCKS_PER_FILE_MAX = 1000;
const FIRST_VERSION_MAX = 2 ** 31;
const SESSION_ATTEMPTS_MAX = 10;

type LockContext = Pick<Context, 'metastore' | 'clock' | 'sleep' | 'random'>;

/**
 * Locks that agents share: the record of a file says who has which. A lock counts as long as the registration of its agent is
 * renewed, and the session of its mount is the agent's last; those that do not are taken away by who finds them in the way.
 */
export async function lock(
  context: LockContext,
  actor: Actor,
  { file, wish, isTest = false }: { readonly file: InodeId; readonly wish: LockWish; readonly isTest?: boolean },
): Promise<Lock | undefined> {
  const what = `the locks of inode ${inodeNumber(file)}`;
  const { inTheWay } = await retriedFor(context, what, async () => {
    const [before, ...own] = await context.metastore.get([lockKey(file), ...keysOf(wish.agent)]);
    if (wish.type !== 'none') demandAlive(context, wish, own);
    const all = before?.kind === 'record' ? decoded(before) : [];
    const first = locksInTheWay(all, wish);
    const isFull = all.length >= LOCKS_PER_FILE_MAX && wish.type !== 'none';
    const locks = first.length > 0 || isFull ? await living(context, all) : all;
    const [inTheWay] = locksInTheWay(locks, wish);
    if (isTest) return { inTheWay };
    const next = inTheWay ? unconverted(locks, wish) : granted(locks, wish);
    if (next.length > LOCKS_PER_FILE_MAX)
      throw new LeatError('noLocks', `${what}: there are ${LOCKS_PER_FILE_MAX} already; unlock some`);
    const isWritten = await write(context, actor, { key: lockKey(file), before, locks: next });
    return isWritten ? { inTheWay } : undefined;
  });
  return inTheWay;
}

/** As on Linux a flock(2) that is to become of the other type, and cannot, is lost: so two of them do not wait for each other. */
function unconverted(locks: readonly Lock[], wish: LockWish): readonly Lock[] {
  return wish.space === 'whole' ? granted(locks, { ...wish, type: 'none' }) : locks;
}

function demandAlive(context: LockContext, { agent, session }: LockWish, rows: readonly (Row | undefined)[]): void {
  if (isAlive(context, session, rows)) return;
  const what = `agent ${agent} is not registered any more, or its mount is another by now`;
  throw new LeatError('changed', `${what}: its locks are gone; it has to begin with them anew`);
}

function isAlive({ clock }: Pick<LockContext, 'clock'>, session: string, [agent, last]: readonly (Row | undefined)[]) {
  if (agent?.kind !== 'record' || last?.kind !== 'record') return false;
  return keptIn<JoinedAgent>(agent).value.until > clock() && keptIn<Session>(last).value.session === session;
}

/** Without those whose agent or session is over. */
async function living(context: Pick<LockContext, 'metastore' | 'clock'>, locks: readonly Lock[]): Promise<Lock[]> {
  const agents = [...new Set(locks.map(({ agent }) => agent))];
  const rows = await context.metastore.get(agents.flatMap(keysOf));
  const of = new Map(agents.map((agent, i) => [agent, rows.slice(2 * i, 2 * i + 2)]));
  return locks.filter(({ agent, session }) => isAlive(context, session, of.get(agent) ?? []));
}

/** True too when there is nothing to write. */
async function write(
  { metastore, clock, random }: Pick<LockContext, 'metastore' | 'clock' | 'random'>,
  actor: Actor,
  { key, before, locks }: { readonly key: RowKey; readonly before: Row | undefined; readonly locks: readonly Lock[] },
): Promise<boolean> {
  const body = encoded(locks);
  if (before?.kind === 'record' ? before.body === body : locks.length === 0) return true;
  const when = before ? { version: before.version } : 'absent';
  // A record that went and came again must not be taken for the one that was read: it does not count from one.
  const version = 1 + (before?.version ?? Math.floor(random() * FIRST_VERSION_MAX));
  const change =
    locks.length === 0
      ? ({ act: 'remove', key, when } as const)
      : ({ act: 'put', key, when, row: { kind: 'record', version, body } } as const);
  return (await commit({ metastore, clock }, actor, [change])).committed;
}

/**
 * A new mount of an agent: the locks of the one before are gone with this. A mount that goes on, or whose session has been
 * forgotten meanwhile, says so again, and gets told what it holds.
 */
export async function beginLocks(
  { metastore }: Pick<LockContext, 'metastore'>,
  { agent, session, isNew }: LockSession,
): Promise<readonly HeldLock[]> {
  const key = sessionKey(agent);
  for (let i = 0; i < SESSION_ATTEMPTS_MAX; i++) {
    const before = await recordAt<Session>(metastore, key);
    if (before?.value.session === session) return heldIn(metastore, session);
    if (before && !isNew)
      throw new LeatError('changed', `agent ${agent}: another mount has begun since; its locks are gone`);
    if (await replaceRecord<Session>(metastore, key, { value: { session }, before })) return [];
  }
  throw new LeatError('contended', `agent ${agent}: several mounts begin at once; give each agent its own --data`);
}

async function heldIn(metastore: Metastore, session: string): Promise<HeldLock[]> {
  const held: HeldLock[] = [];
  for await (const { name, row } of allRows(metastore, LOCKS)) {
    const locks = row.kind === 'record' ? decoded(row) : [];
    for (const each of locks) if (each.session === session) held.push({ file: name as string as InodeId, lock: each });
  }
  return held;
}

/** Takes away the locks that do not count any more of files that nobody locks, and what is said of agents that are forgotten. */
export async function sweepLocks(context: Pick<LockContext, 'metastore' | 'clock' | 'random'>): Promise<void> {
  const { metastore } = context;
  for await (const { name, row } of allRows(metastore, LOCKS)) {
    if (row.kind !== 'record') continue;
    const locks = await living(context, decoded(row));
    await write(context, SELF, { key: { directory: LOCKS, name }, before: row, locks });
  }
  for await (const { name, row } of allRows(metastore, LOCK_SESSIONS)) {
    const [agent] = await metastore.get([agentKey(name)]);
    const when = { version: row.version };
    if (!agent) await metastore.commit([{ act: 'remove', key: { directory: LOCK_SESSIONS, name }, when }]);
  }
}

interface Session {
  readonly session: string;
}

const lockKey = (file: InodeId): RowKey => ({ directory: LOCKS, name: file as string as Name });
const sessionKey = (agent: string): RowKey => ({ directory: LOCK_SESSIONS, name: agent as Name });
const keysOf = (agent: string): RowKey[] => [agentKey(agent), sessionKey(agent)];

type Written = Omit<Lock, 'start' | 'end'> & { readonly start: string; readonly end: string };

function encoded(locks: readonly Lock[]): string {
  return JSON.stringify(
    locks.map(({ start, end, ...lock }): Written => ({ ...lock, start: `${start}`, end: `${end}` })),
  );
}

function decoded({ body }: RecordRow): Lock[] {
  const written = JSON.parse(body) as Written[];
  return written.map(({ start, end, ...lock }) => ({ ...lock, start: BigInt(start), end: BigInt(end) }));
}
