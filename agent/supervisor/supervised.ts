import type { Keeper } from '../fuse/keeper.ts';
import { newVersion } from './new-version.ts';
import { FAILED_CODE, type Given, SOCKET_FD, SUPERVISED, type Told, UPGRADE_CODE } from './protocol.ts';

/** How an agent makes room for another from the program on the disk. */
export interface Succession {
  /** Of that program. Throws when it does not run. */
  newVersion(): Promise<string>;
  /** Ends this process, which another follows. */
  handOver(): never;
}

/** The supervisor, as the agent sees it. */
export interface Supervised extends Succession {
  /** Undefined where the native code that it needs cannot be loaded: a mount ends with its agent then. */
  readonly keeper: Keeper | undefined;
  /** Where the mount is that goes on. */
  readonly at: string | undefined;
  /** An agent has served before with the same words. */
  readonly isSuccessor: boolean;
  /** The agent serves. */
  ready(): void;
  /** Calls back when the supervisor is gone. */
  onGone(gone: () => void): void;
}

/** Undefined: this process has no supervisor. */
export async function supervised(): Promise<Supervised | undefined> {
  const text = process.env[SUPERVISED];
  const { channel } = process;
  if (text === undefined || !channel) return undefined;
  delete process.env[SUPERVISED]; // what this process starts is none of the supervisor's
  const given = JSON.parse(text) as Given;
  return {
    keeper: await keeperBy(given).catch(() => undefined),
    at: given.session?.at,
    isSuccessor: given.isSuccessor,
    newVersion,
    handOver: () => process.exit(UPGRADE_CODE),
    ready: () => tell({ ready: true }),
    onGone(gone) {
      process.on('disconnect', gone);
      // A listener would keep the process, which ends when the agent has.
      channel.unref();
    },
  };
}

async function keeperBy({ session }: Given): Promise<Keeper> {
  const { keeperOf } = await import('../fuse/keeper.ts');
  const { sendFds } = await import('../fuse/fd-passing.ts');
  return keeperOf({
    resumed: session,
    keep({ at, device, memory }) {
      sendFds(SOCKET_FD, [device, memory]);
      tell({ mounted: at });
    },
    failed: () => process.exit(FAILED_CODE),
  });
}

function tell(told: Told): void {
  process.send?.(told);
}
