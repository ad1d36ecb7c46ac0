import type { InodeId } from '#shared/model/ids.ts';
import { KeptHandles } from './kept-handles.ts';
import { KeptIds } from './kept-ids.ts';
import { KeptNodes } from './kept-nodes.ts';
import { RECORDS_START, SessionMemory } from './session-memory.ts';
import { memoryFile } from './syscalls.ts';

/** What an agent's process has of its supervisor, who keeps the mount's session when the process ends. */
export interface KeeperLink {
  /** The device and the memory of a session that a process before has had. */
  readonly resumed: { readonly device: number; readonly memory: number } | undefined;
  keep(session: { readonly at: string; readonly device: number; readonly memory: number }): void;
  /** The session cannot be served any more by this process, but by another. Does not return. */
  failed(): never;
}

/** The session of a mount, as far as it outlives the process. */
export interface Keeper {
  readonly memory: number;
  readonly ids: KeptIds;
  /** The device of the session that this process goes on with. */
  readonly resumedDevice: number | undefined;
  keep(at: string, device: number): void;
  failed(): void;
  /** Of a session that goes on: how often each file is open for writing. */
  writers(): ReadonlyMap<InodeId, number>;
}

export function keeperOf(link: KeeperLink): Keeper {
  const memory = link.resumed?.memory ?? memoryFile('leat-session', RECORDS_START);
  return {
    memory,
    ids: new KeptIds(memory),
    resumedDevice: link.resumed?.device,
    keep: (at, device) => link.keep({ at, device, memory }),
    failed: () => link.failed(),
    writers() {
      const records = new SessionMemory(memory);
      const ids = new KeptNodes(records).pinnedIds();
      const counts = new Map<InodeId, number>();
      for (const { node, isWriter } of new KeptHandles(records).files()) {
        const id = isWriter ? ids.get(node) : undefined;
        if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      return counts;
    },
  };
}
