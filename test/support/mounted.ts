import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountsBelow, unmount } from './cli.ts';
import { type Daemon, type DaemonOptions, startDaemon } from './daemon.ts';

/** A folder with a data directory, and the agents that a test starts on it one after the other; all ends with `clear`. */
export interface MountStage {
  readonly folder: string;
  readonly data: string;
  /** Where the namespace is. */
  readonly at: string;
  start(stores: readonly string[], options?: Partial<DaemonOptions>): Promise<Daemon>;
  clear(): Promise<void>;
}

export async function openMountStage(): Promise<MountStage> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-mount-'));
  const data = join(folder, 'data');
  const at = join(folder, 'mnt');
  const daemons: Daemon[] = [];
  return {
    folder,
    data,
    at,
    async start(stores, options = {}) {
      const daemon = await startDaemon({ stores, at, data, ...options });
      daemons.push(daemon);
      return daemon;
    },
    async clear() {
      for (const daemon of daemons) await daemon.kill();
      for (const mounted of await mountsBelow(folder)) await unmount(mounted, { lazy: true });
      await rm(folder, { recursive: true });
    },
  };
}
