/** Where an agent finds what its supervisor has given it: as JSON in this variable. */
export const SUPERVISED = 'LEAT_SUPERVISED';
/** How an agent ends that is to be started anew from the disk. */
export const UPGRADE_CODE = 75;
/** How an agent ends whose session is to go on with another. */
export const FAILED_CODE = 70;
/** The descriptors of a child: the first after stdin, stdout and stderr. */
export const SOCKET_FD = 3;

/** What a child is told by its environment. */
export interface Given {
  /** Descriptors of the mount's session, when there is one to go on with. */
  readonly session?: { readonly at: string; readonly device: number; readonly memory: number };
  /** An agent has served before, with the same words. */
  readonly isSuccessor: boolean;
}

/** What an agent tells its supervisor. */
export type Told =
  /** The descriptors of a new mount's session lie in the socket. */
  { readonly mounted: string } | { readonly ready: true };
