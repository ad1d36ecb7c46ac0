import { setTimeout as sleep } from 'node:timers/promises';
import { drawnId, foretoldId } from '#functions/drivers/ids.ts';
import { orderedTokens } from '#shared/model/tokens.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import { createNamespace, type RunningNamespace } from '#shared/namespace/create-namespace.ts';

/** One of several namespaces on the same rows, as functions and agents in mode `direct` open them; without stores unless given. */
export function openShared({
  metastore,
  clock,
  ...given
}: Pick<NamespaceDeps, 'metastore' | 'clock'> & Partial<NamespaceDeps>): Promise<RunningNamespace> {
  return createNamespace({
    metastore,
    clock,
    newId: drawnId,
    directoryIdOf: foretoldId,
    isShared: true,
    sleep: (ms) => sleep(ms),
    newToken: orderedTokens(clock),
    storeOf: () => {
      throw new Error('nothing is mounted here');
    },
    owner: { uid: 0, gid: 0 },
    log: (message) => {
      throw new Error(message);
    },
    ...given,
  });
}
