import { isFault } from '#shared/model/faults.ts';
import type { Actor } from '#shared/namespace/namespace.ts';

/**
 * A change that the kernel asks for again, because the process that it asked first died: where nothing is left to be done, as
 * the fault says that changing it once more meets, it has been done. `done` tells what comes of it.
 */
export async function unlessDone<Result>(
  { request }: Actor,
  act: () => Promise<Result>,
  { when, done }: { readonly when: 'notFound' | 'noAttribute'; done(): Result | Promise<Result> },
): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (!request?.isRetry || !isFault(error, when)) throw error;
    return done();
  }
}
