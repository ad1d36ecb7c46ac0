import type { Config } from '#shared/config/config.ts';
import { isFault, LeatError } from '#shared/model/faults.ts';
import type { FuseMount, FuseOptions } from './fuse/fuse-mount.ts';
import type { ServiceDeps } from './fuse/service.ts';

type Mounting = (options: FuseOptions, deps: ServiceDeps) => Promise<FuseMount>;

/** Loaded when it is wanted: the native code that one driver needs may be missing where the other can run. */
const DRIVERS: Readonly<Record<'kernel' | 'libfuse', Mounting>> = {
  async kernel(options, deps) {
    const { fuseMount } = await import('./fuse/fuse-mount.ts').catch((error: unknown) => {
      throw new LeatError('unavailable', `its native code cannot be loaded (${messageOf(error)})`, { cause: error });
    });
    return fuseMount(options, deps);
  },
  libfuse: async (options, deps) => (await import('./libfuse/libfuse-mount.ts')).libfuseMount(options, deps),
};

/** Two drivers behind one port. `auto` takes libfuse only where the kernel driver cannot run, and says why. */
export async function mountByDriver(
  driver: Config['fuse.driver'],
  options: FuseOptions,
  deps: ServiceDeps,
): Promise<FuseMount> {
  if (driver !== 'auto') return DRIVERS[driver](options, deps);
  try {
    return await DRIVERS.kernel(options, deps);
  } catch (error) {
    // What is wrong with the place to mount on is wrong for any driver.
    if (isFault(error) && error.kind !== 'unavailable') throw error;
    const why = messageOf(error);
    const mount = await DRIVERS.libfuse(options, deps).catch((second: unknown) => {
      throw new LeatError('unavailable', `${why}; and by libfuse: ${messageOf(second)}`, { cause: error });
    });
    deps.log(`${options.at} is mounted by fuse.driver=libfuse, because fuse.driver=kernel cannot run here: ${why}`);
    return mount;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
