import type { AttributePatch } from '#shared/namespace/namespace.ts';
import type { Path } from '#shared/model/names.ts';
import type { Capacity } from '../capacity.ts';
import { errno, refuse } from '../fuse/requests.ts';
import { type Answering, answering } from './answers.ts';
import type { Binding, Handler, Native } from './binding.ts';
import type { OpenFiles } from './open-files.ts';
import type { Operations } from './operations.ts';
import { long, NO_STAT, NO_STATFS, pathOf, statfsOf, statOf, textOf, timesIn } from './wire.ts';

/** As chown(2) says that an owner stays. */
const SAME = 2 ** 32 - 1;
const DONE = [0] as const;

export interface HandlersDeps extends Answering {
  readonly operations: Operations;
  readonly files: OpenFiles;
  readonly capacity: (path: Path) => Promise<Capacity>;
  readonly flushed: () => Promise<void>;
}

/** What fuse-native calls, by operation. What is missing here libfuse refuses, or does by itself. */
export function handlersOf(binding: Binding, deps: HandlersDeps): Readonly<Record<string, Handler>> {
  return {
    ...attributeHandlers(binding, deps),
    ...xattrHandlers(binding, deps),
    ...nameHandlers(binding, deps),
    ...fileHandlers(binding, deps),
  };
}

function attributeHandlers(binding: Binding, deps: HandlersDeps) {
  const on = answering(binding, deps);
  const { operations } = deps;
  const change = async (path: string, patch: AttributePatch) => {
    await operations.setAttributes(pathOf(path), patch);
    return DONE;
  };
  const utimens = on('utimens', { act: change });
  return {
    getattr: on('getattr', {
      act: async (path: string) => [0, statOf(await operations.stat(pathOf(path)))],
      blank: () => [NO_STAT],
    }),
    fgetattr: on('fgetattr', {
      act: async (path: string, handle: number) => [0, statOf(await operations.statOpen(pathOf(path), handle))],
      blank: () => [NO_STAT],
    }),
    chmod: on('chmod', { act: (path: string, mode: number) => change(path, { mode: mode & 0o7777 }) }),
    chown: on('chown', {
      act: (path: string, uid: number, gid: number) =>
        change(path, { ...(uid !== SAME && { uid }), ...(gid !== SAME && { gid }) }),
    }),
    utimens: (native: Native, operation: number, path: string, ...words: number[]) =>
      utimens(native, operation, path, timesIn(native, words)),
    statfs: on('statfs', {
      act: async (path: string) => [0, statfsOf(await deps.capacity(pathOf(path)))],
      blank: () => [NO_STATFS],
    }),
  };
}

function xattrHandlers(binding: Binding, deps: HandlersDeps) {
  const on = answering(binding, deps);
  const { operations } = deps;
  return {
    getxattr: on('getxattr', {
      act: async (path: string, name: string, into: Buffer) => {
        const value = await operations.xattr(pathOf(path), name);
        return [put(value, into), into.buffer];
      },
      blank: (_path, _name, into) => [into.buffer],
    }),
    listxattr: on('listxattr', {
      act: async (path: string, into: Buffer) => {
        const names = await operations.xattrNames(pathOf(path));
        return [put(names, into), into.buffer];
      },
      blank: (_path, into) => [into.buffer],
    }),
    setxattr: on('setxattr', {
      act: async (path: string, name: string, value: Buffer, _position: number, flags: number) => {
        await operations.setXattr(pathOf(path), name, { value, flags });
        return [0, value.buffer];
      },
      blank: (_path, _name, value) => [value.buffer],
    }),
    removexattr: on('removexattr', {
      act: async (path: string, name: string) => done(operations.removeXattr(pathOf(path), name)),
    }),
  };
}

function nameHandlers(binding: Binding, deps: HandlersDeps) {
  const on = answering(binding, deps);
  const { operations } = deps;
  return {
    readdir: on('readdir', {
      act: async (path: string) => {
        const entries = await operations.list(pathOf(path));
        return [0, entries.map(({ name }) => name), entries.map(({ inode }) => statOf(inode))];
      },
      blank: () => [[], []],
    }),
    readlink: on('readlink', {
      act: async (path: string) => [0, await operations.readLink(pathOf(path))],
      blank: () => [''],
    }),
    mkdir: on('mkdir', {
      act: async (path: string, mode: number) => done(operations.makeDirectory(pathOf(path), mode)),
    }),
    mknod: on('mknod', {
      act: async (path: string, mode: number, device: number) => done(operations.makeNode(pathOf(path), mode, device)),
    }),
    link: on('link', { act: async (from: string, to: string) => done(operations.link(pathOf(from), pathOf(to))) }),
    symlink: on('symlink', {
      act: async (target: string, path: string) => done(operations.makeSymlink(pathOf(path), textOf(target))),
    }),
    rename: on('rename', {
      act: async (from: string, to: string) => done(operations.rename(pathOf(from), pathOf(to))),
    }),
    unlink: on('unlink', { act: async (path: string) => done(operations.remove(pathOf(path), 'file')) }),
    rmdir: on('rmdir', { act: async (path: string) => done(operations.remove(pathOf(path), 'directory')) }),
    fsyncdir: on('fsyncdir', { act: async (_path: string) => done(deps.flushed()) }),
  };
}

function fileHandlers(binding: Binding, deps: HandlersDeps) {
  const on = answering(binding, deps);
  const { files, operations } = deps;
  return {
    open: on('open', {
      act: async (path: string, flags: number) => [0, await files.open(pathOf(path), flags)],
      blank: () => [0],
    }),
    create: on('create', {
      act: async (path: string, mode: number) => [0, await files.create(pathOf(path), mode)],
      blank: () => [0],
    }),
    read: on('read', {
      act: async (_path: string, handle: number, into: Buffer, length: number, low: number, high: number) => {
        const got = await files.read(handle, into.subarray(0, length), long(low, high));
        return [got, 0, into.buffer];
      },
      blank: (_path, _handle, into) => [0, into.buffer],
    }),
    write: on('write', {
      act: async (_path: string, handle: number, bytes: Buffer, length: number, low: number, high: number) => {
        const count = await files.write(handle, bytes.subarray(0, length), long(low, high));
        return [count, 0, bytes.buffer];
      },
      blank: (_path, _handle, bytes) => [0, bytes.buffer],
    }),
    truncate: on('truncate', {
      act: async (path: string, low: number, high: number) => done(operations.truncate(pathOf(path), long(low, high))),
    }),
    ftruncate: on('ftruncate', {
      act: async (_path: string, handle: number, low: number, high: number) =>
        done(files.truncate(handle, long(low, high))),
    }),
    flush: on('flush', { act: async (_path: string, handle: number) => done(files.flush(handle)) }),
    fsync: on('fsync', {
      act: async (_path: string, _isDataOnly: number, handle: number) => done(files.sync(handle)),
    }),
    release: on('release', {
      act: async (_path: string, handle: number) => {
        files.release(handle);
        return DONE;
      },
    }),
  };
}

async function done(act: Promise<void>): Promise<typeof DONE> {
  await act;
  return DONE;
}

/** Room for nothing asks how much there is. */
function put(value: Buffer, into: Buffer): number {
  if (into.length > 0 && into.length < value.length) refuse(errno.ERANGE);
  value.copy(into);
  return value.length;
}
