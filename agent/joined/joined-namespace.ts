import { isFault, LeatError } from '#shared/model/faults.ts';
import type { MountId } from '#shared/model/inode.ts';
import { joinPath, namesOf, type Path, ROOT_PATH, toText } from '#shared/model/names.ts';
import { SELF } from '#shared/namespace/access.ts';
import { nanosOf } from '#shared/namespace/context.ts';
import type { Expectation, Namespace } from '#shared/namespace/namespace.ts';
import { ROOT_KEY } from '#shared/namespace/rows-ahead.ts';
import type { Clock } from '#shared/ports/clock.ts';
import type { RowKey } from '#shared/ports/metastore.ts';
import type { UnderStore } from '#shared/ports/under-store.ts';
import type { Changed } from './remote-namespace.ts';
import { ReadOnlyRows } from './remote-rows.ts';

const LOOKS_MAX = 2;

export interface JoinedNamespaceDeps {
  /** The use cases over rows that are read here, and never written: `readOnly`. */
  readonly local: Namespace;
  /** Gets `onChanged` of `coherence`. */
  readonly remote: Namespace;
  /** Stores that `local` has opened. */
  readonly storeOf: (mount: MountId) => UnderStore | undefined;
  /** Throws for a store that this agent must not show: only here it is known which folders are its own. */
  readonly demandMountable?: (uri: string) => void;
  readonly clock: Clock;
}

/**
 * The namespace of a cloud, at an agent: reads are made here, from rows that this node knows or gets; changes, and reads that
 * have to look into a store first, are made by the API. The bytes of a file go to its store from here.
 */
export function joinedNamespace({ local, remote, storeOf, demandMountable, clock }: JoinedNamespaceDeps): Namespace {
  const upload = async (mount: MountId, path: Path): Promise<UnderStore> => {
    const store = storeOf(mount) ?? ((await local.mounts()) && storeOf(mount));
    if (store) return store;
    throw new LeatError('unavailable', `${toText(path)}: its store is not mounted any more; see \`leat mounts\``);
  };
  const sure = <Result>(path: Path, given: Expectation | undefined, act: (expect: Expectation) => Promise<Result>) =>
    given?.id === undefined ? expecting(local, path, act) : act({ id: given.id });
  return {
    ...remote,
    stat: (...asked) =>
      elsewhere(
        () => local.stat(...asked),
        () => remote.stat(...asked),
      ),
    list: (...asked) =>
      elsewhere(
        () => local.list(...asked),
        () => remote.list(...asked),
      ),
    room: (...asked) =>
      elsewhere(
        () => local.room(...asked),
        () => remote.room(...asked),
      ),
    async mount(actor, wanted) {
      demandMountable?.(wanted.uri);
      return remote.mount(actor, wanted);
    },
    mounts: () => local.mounts(),
    rename: (actor, from, to, options) =>
      sure(from, options, (id) => remote.rename(actor, from, to, { ...options, ...id })),
    remove: (actor, path, kind, expect) => sure(path, expect, (id) => remote.remove(actor, path, kind, id)),
    removeTree: (actor, path, expect) => sure(path, expect, (id) => remote.removeTree(actor, path, id)),
    async write(actor, path, body, { mode, size }) {
      const begun = await remote.beginUpload(actor, path, { mode, ...(size !== undefined && { size }) });
      const { origin, isNew, inode } = begun;
      const store = await upload(origin.mount, path);
      const when = isNew ? 'absent' : inode.fingerprint;
      try {
        const entry = await store.write(origin.key, body, {
          attributes: { mode: inode.mode, uid: inode.uid, gid: inode.gid, mtime: nanosOf(clock()) },
          ...(size !== undefined && { size }),
          ...(when !== undefined && { when }),
        });
        return await remote.finishUpload(actor, path, begun, entry);
      } catch (cause) {
        if (!isFault(cause, 'exists')) throw cause;
        const what = 'was written by another while it was uploaded; upload it again';
        throw new LeatError('changed', `${toText(path)}: ${what}`, { cause });
      }
    },
  };
}

async function elsewhere<Result>(here: () => Promise<Result>, there: () => Promise<Result>): Promise<Result> {
  try {
    return await here();
  } catch (error) {
    if (error instanceof ReadOnlyRows) return there();
    throw error;
  }
}

/**
 * A request that is repeated knows by its inode what it has done already. Whoever asks need not know which one that is; where
 * this agent is wrong about it, it looks again.
 */
async function expecting<Result>(
  local: Pick<Namespace, 'stat'>,
  path: Path,
  act: (expect: Expectation) => Promise<Result>,
): Promise<Result> {
  for (let i = 0; i < LOOKS_MAX; i++) {
    const id = await local.stat(SELF, path).then(
      ({ inode }) => inode.id,
      () => undefined,
    );
    if (id === undefined) break;
    try {
      return await act({ id });
    } catch (error) {
      if (!isFault(error, 'changed')) throw error;
    }
  }
  return act({});
}

interface Coherence {
  readonly local: Pick<Namespace, 'stat'>;
  /** What is kept of rows is dropped. */
  readonly forget: (keys: readonly RowKey[]) => void;
}

/**
 * An agent sees what it has changed, whatever it has kept. The API names the rows that it changed; where it changed none that
 * the path leads to as this agent knows it, this agent has the way wrong, and forgets it all.
 */
export function coherence({ local, forget }: Coherence): (changed: Changed) => Promise<void> {
  return async ({ paths, touched }) => {
    forget(touched);
    for (const path of paths) {
      const way = await wayTo(local, path);
      const directory = way.at(-1)?.directory;
      const isRight = way.length === namesOf(path).length + 1 && touched.some((key) => key.directory === directory);
      if (isRight) forget(way.slice(-1));
      else await forgetWay({ local, forget }, path);
    }
  };
}

/** What is wrong high up hides what is wrong below: until the way is the one that was looked up anew. */
async function forgetWay({ local, forget }: Coherence, path: Path): Promise<void> {
  let before = '';
  for (let i = 0; i <= namesOf(path).length + 1; i++) {
    const way = await wayTo(local, path);
    const now = JSON.stringify(way);
    if (now === before) return;
    forget(way);
    before = now;
  }
}

/** The keys of the rows on a path, as far as it is known here. */
async function wayTo(local: Pick<Namespace, 'stat'>, path: Path): Promise<RowKey[]> {
  const way: RowKey[] = [ROOT_KEY];
  let at = ROOT_PATH;
  for (const name of namesOf(path)) {
    const directory = await idOf(local, at);
    if (directory === undefined) return way;
    way.push({ directory, name });
    at = joinPath(at, name);
  }
  return way;
}

async function idOf(local: Pick<Namespace, 'stat'>, path: Path) {
  try {
    return (await local.stat(SELF, path, { follow: true })).inode.id;
  } catch {
    return undefined; // not there, or only the API can tell
  }
}
