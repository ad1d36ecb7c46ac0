import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Home, OWN_HOME } from './bindings.ts';
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

export async function openMountStage(home: Home = OWN_HOME): Promise<MountStage> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-mount-'));
  const data = join(folder, 'data');
  const at = join(folder, 'mnt');
  const daemons: Daemon[] = [];
  const datas = new Set<string>();
  return {
    folder,
    data,
    at,
    async start(stores, options = {}) {
      const args = [...home.args(), ...(options.args ?? [])];
      const env = { ...home.env(), ...options.env };
      const starting = { stores, at, data, ...options, args, env };
      datas.add(starting.data);
      const daemon = await startDaemon(starting);
      daemons.push(daemon);
      return daemon;
    },
    async clear() {
      for (const daemon of daemons) await (home.isShared ? daemon.stop().catch(() => daemon.kill()) : daemon.kill());
      for (const mounted of await mountsBelow(folder)) await unmount(mounted, { lazy: true });
      await home.empty([...datas]);
      await rm(folder, { recursive: true });
    },
  };
}
