import module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { LeatError } from '#shared/model/faults.ts';

/** Of one operation on its way: libfuse's thread waits until it is signalled. Every operation of a thread comes with the same. */
export type Native = Buffer;
/** Called by a thread of libfuse, on ours. */
export type Handler = (native: Native, operation: number, ...args: never[]) => void;
/** The result, and what goes with it, which must be there even when it means nothing: without it libfuse's thread waits for ever. */
export type Signal = (native: Native, result: number, ...values: unknown[]) => void;

/** What fuse-native brings as native code. Its JavaScript around it is not used: see `session.ts`. */
export interface Binding {
  readonly sizeof_fuse_thread_t: number;
  fuse_native_mount(
    at: string,
    options: string,
    session: Buffer,
    self: object,
    allocate: (bytes: number) => Buffer,
    handlers: readonly Handler[],
    implemented: Uint32Array,
  ): void;
  fuse_native_unmount(at: string, session: Buffer): void;
  readonly [operation: `op_${string}`]: number;
  readonly [signal: `fuse_native_signal_${string}`]: Signal;
}

const RTLD_NODELETE = 0x1000;

/**
 * fuse-native is built against libfuse.so.2, which few machines still have; the package brings one, and does not say so to the
 * linker. Once it is loaded the linker takes it for the one that the binding asks for.
 */
export function loadBinding(): Binding {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const folder = dirname(module.createRequire(import.meta.url).resolve('fuse-native/package.json'));
    const builds = join(folder, 'prebuilds', platform);
    keepLoaded(join(builds, 'libfuse.so'));
    return opened(join(builds, 'node.napi.node'), constants.dlopen.RTLD_LAZY) as Binding;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new LeatError(
      'unavailable',
      `the package fuse-native cannot be used on ${platform} (${why}): install it (\`npm install fuse-native\`), or set fuse.driver=kernel`,
      { cause: error },
    );
  }
}

/** Node closes a library at once that is no module of its own, and says so; this one stays all the same. */
function keepLoaded(library: string): void {
  try {
    opened(library, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('did not self-register'))) throw error;
  }
}

function opened(library: string, flags: number): unknown {
  const loaded = { exports: {} as unknown };
  process.dlopen(loaded, library, flags);
  return loaded.exports;
}
