import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import type { Actor } from '#shared/namespace/namespace.ts';
import type { FuseMount, FuseOptions } from '../fuse/fuse-mount.ts';
import { detachFrom, prepareMountpoint, raiseReadahead, unmountFrom } from '../fuse/mountpoint.ts';
import { PROFILES } from '../fuse/profiles.ts';
import type { ServiceDeps } from '../fuse/service.ts';
import { loadBinding } from './binding.ts';
import { handlersOf } from './handlers.ts';
import { LibfuseSession } from './libfuse-session.ts';
import { OpenFiles } from './open-files.ts';
import { Operations } from './operations.ts';

/** So long a mount that was taken out of the tree may still be used by who has files open. */
const DETACHED_MS_MAX = 500;

/**
 * The second driver, for hosts where the first cannot run. What it lacks, because fuse-native or libfuse 2 does:
 * - Who asks: the mount is for the agent's own user, and what is made there is that user's. No ACLs.
 * - The kernel is told of no change by others; it believes that a name leads to a file for half a second, and asks for
 *   attributes each time. A reader of a file that is replaced from elsewhere meanwhile may find pages of the new content.
 * - Times to the millisecond, none before 1970, and both of a file together: one alone is left as it is.
 * - Names that are not UTF-8; more than 32 bits of an inode's number; rename without replacing, and exchanging.
 * - Locks beyond this machine, fallocate, holes that are told, copies within the store, reads that can be interrupted.
 * - Passthrough, and a session that outlives the agent.
 * - When an open file is replaced by a rename, its name is away for an instant.
 */
export async function libfuseMount(
  {
    at,
    profile,
    allowOther,
    hasAcls,
    dirtyDir,
    feed,
  }: Pick<FuseOptions, 'at' | 'profile' | 'allowOther' | 'hasAcls' | 'dirtyDir' | 'feed'>,
  deps: ServiceDeps,
): Promise<FuseMount> {
  demandOffered({ allowOther, hasAcls });
  const binding = loadBinding();
  await prepareMountpoint(at);
  const { namespace, cache, dirty, fetchFor, flushed } = deps;
  const actor: Actor = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [], checked: true };
  const files = new OpenFiles({ namespace, cache, dirty, dirtyDir, fetchFor, feed, flushed, actor });
  const operations = new Operations({ namespace, actor, files, dirty });
  let isOver = false;
  const handlers = handlersOf(binding, { ...deps, operations, files, isOver: () => isOver });
  const session = new LibfuseSession(binding, at, { handlers, ...PROFILES[profile] });
  if (process.getuid?.() === 0) raiseReadahead(at);
  const closed = session.ended.then(() => {
    isOver = true;
    files.close();
  });
  return {
    closed,
    async unmount() {
      if (isOver) return;
      await unmountFrom(at);
      session.hurry();
      await closed;
    },
    async detach() {
      if (isOver) return;
      await detachFrom(at);
      session.hurry();
      await Promise.race([closed, sleep(DETACHED_MS_MAX)]);
      isOver = true;
    },
    evicted() {
      // What is open here is held through the cache, which tells nobody else.
    },
    holds: () => false,
    async refreshMounts() {
      // Every question goes to the namespace, which knows its mounts.
    },
  };
}

/** What was asked for and cannot be had is no mount, rather than one that is open to fewer, or to more, than was meant. */
function demandOffered({ allowOther, hasAcls }: Pick<FuseOptions, 'allowOther' | 'hasAcls'>): void {
  const asked = allowOther ? '--allow-other' : hasAcls ? 'fuse.acl=on' : undefined;
  if (asked === undefined) return;
  throw new LeatError(
    'unsupported',
    `${asked} needs fuse.driver=kernel: libfuse does not tell who asks; leave it out, or mount where that driver can run`,
  );
}
