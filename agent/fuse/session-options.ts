/** What the main thread tells the worker of the session, once. */
export interface SessionOptions {
  readonly fd: number;
  /** What outlives the process, where there is a supervisor to keep it. */
  readonly memory: number | undefined;
  readonly cacheDir: string;
  readonly dirtyDir: string;
  readonly leaseMs: number;
  readonly hasAcls: boolean;
  readonly wantsPassthrough: boolean;
  readonly isTraining: boolean;
  /** Locks are not the kernel's own, but shared with other nodes. */
  readonly sharesLocks: boolean;
  readonly root: { readonly bytes: Uint8Array };
}
