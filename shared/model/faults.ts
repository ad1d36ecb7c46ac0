interface Fault {
  readonly errno: string;
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 423 | 499 | 500 | 501 | 503 | 507;
  readonly retry: boolean;
}

/** Everything that can go wrong, once. FUSE reads `errno`, HTTP reads `status`, callers read `retry`. */
const FAULTS = {
  notFound: { errno: 'ENOENT', status: 404, retry: false },
  exists: { errno: 'EEXIST', status: 409, retry: false },
  notDirectory: { errno: 'ENOTDIR', status: 409, retry: false },
  isDirectory: { errno: 'EISDIR', status: 409, retry: false },
  notEmpty: { errno: 'ENOTEMPTY', status: 409, retry: false },
  denied: { errno: 'EACCES', status: 403, retry: false },
  notPermitted: { errno: 'EPERM', status: 403, retry: false },
  unauthorized: { errno: 'EACCES', status: 401, retry: false },
  readOnly: { errno: 'EROFS', status: 405, retry: false },
  crossMount: { errno: 'EXDEV', status: 409, retry: false },
  busy: { errno: 'EBUSY', status: 423, retry: false },
  changed: { errno: 'ESTALE', status: 412, retry: false },
  contended: { errno: 'EAGAIN', status: 409, retry: true },
  invalid: { errno: 'EINVAL', status: 400, retry: false },
  nameTooLong: { errno: 'ENAMETOOLONG', status: 400, retry: false },
  tooManyLinks: { errno: 'ELOOP', status: 400, retry: false },
  tooManyNames: { errno: 'EMLINK', status: 409, retry: false },
  tooLarge: { errno: 'EFBIG', status: 413, retry: false },
  noAttribute: { errno: 'ENODATA', status: 404, retry: false },
  quotaExceeded: { errno: 'EDQUOT', status: 507, retry: false },
  noSpace: { errno: 'ENOSPC', status: 507, retry: false },
  unsupported: { errno: 'ENOTSUP', status: 501, retry: false },
  noLocks: { errno: 'ENOLCK', status: 507, retry: false },
  deadlock: { errno: 'EDEADLK', status: 409, retry: false },
  interrupted: { errno: 'EINTR', status: 499, retry: false },
  unavailable: { errno: 'EIO', status: 503, retry: true },
  corrupt: { errno: 'EIO', status: 500, retry: false },
} as const satisfies Record<string, Fault>;

export type FaultKind = keyof typeof FAULTS;

export const faultKinds = Object.keys(FAULTS) as readonly FaultKind[];

/** A failure of the world. Its message names the path, what was tried and what to do next. */
export class LeatError extends Error {
  override readonly name = 'LeatError';
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }

  get fault(): Fault {
    return FAULTS[this.kind];
  }
}

/** A stranger's error is never dressed up as one of ours: it is an EIO with its cause kept. */
export function toLeatError(error: unknown): LeatError {
  if (error instanceof LeatError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new LeatError('unavailable', `unexpected failure: ${message}`, { cause: error });
}

/** One of ours, of one of these kinds; without any, of whichever. */
export function isFault(error: unknown, ...kinds: readonly FaultKind[]): error is LeatError {
  return error instanceof LeatError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** A broken promise of our own code: stop, do not map to an errno. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`);
}
