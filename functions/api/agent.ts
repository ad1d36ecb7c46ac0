import { Hono } from 'hono';
import type { ApiDeps } from './deps.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import type { MountInfo } from './mounts.ts';

export interface AgentInfo {
  readonly version: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Where the namespace is mounted on this machine; absent when it is not, and `fuseMissing` says why. */
  readonly at?: string | undefined;
  readonly fuseMissing?: string | undefined;
  readonly data: string;
  readonly metastore: string;
  readonly mounts: readonly MountInfo[];
  readonly cache: {
    readonly capacityBytes: number;
    readonly usedBytes: number;
    /** Written here, and not in a store (yet, or because there is none). */
    readonly dirtyBytes: number;
    readonly files: number;
    readonly hitBytes: number;
    readonly fetchedBytes: number;
  };
  /** What the stores are still owed, and what could not be done. */
  readonly owed: {
    readonly pending: number;
    readonly failed: readonly { readonly what: string; readonly reason: string }[];
  };
}

/** The agent itself. */
export function agentApi(deps: ApiDeps) {
  return (
    new Hono<ApiEnv>()
      .get('/', async (c) => c.json(await deps.info()))
      /** Asks the agent to unmount and end; answers before it has. */
      .post('/stop', ownerOnly, (c) => {
        deps.stop();
        return c.json({ stopping: true }, 202);
      })
      /** Asks the agent to be followed by one of the program on the disk, under a mount that goes on; answers before it is. */
      .post('/upgrade', ownerOnly, async (c) => c.json(await deps.upgrade(), 202))
  );
}
