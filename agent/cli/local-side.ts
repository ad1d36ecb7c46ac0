import { type BigIntStats, constants, createWriteStream } from 'node:fs';
import { lstat, mkdir, open, opendir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { fromText, toText } from '#shared/model/names.ts';
import { type Item, type Side, unfinishedName } from './side.ts';

const MODE_BITS = 0o7777;
const NANOS = 1_000_000_000n;

/** The files of this machine. Paths go to the kernel as bytes, so that every name can be copied. */
export function localSide(): Side {
  return {
    async stat(path, { follow }) {
      try {
        return await itemAt(path, follow);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async *list(path) {
      // Typed for text names only, though bytes are what it gives with this encoding.
      const directory = await opendir(octets(path), { encoding: 'buffer' as BufferEncoding });
      for await (const { name } of directory) {
        const text = toText(Buffer.from(name as unknown as Buffer).toString('latin1'));
        const item = await itemAt(`${path}/${text}`, false);
        if (item) yield item;
      }
    },
    async read(path) {
      const file = await open(octets(path), constants.O_RDONLY | constants.O_NOFOLLOW);
      return Readable.toWeb(file.createReadStream()) as ReadableStream<Uint8Array>;
    },
    async write(path, body, { mode }) {
      const unfinished = unfinishedName(path);
      try {
        await body.pipeTo(Writable.toWeb(createWriteStream(octets(unfinished), { mode, flags: 'w' })));
        await rename(octets(unfinished), octets(path));
      } catch (error) {
        await rm(octets(unfinished), { force: true });
        throw error;
      }
    },
    async makeDirectory(path, { mode }) {
      await mkdir(octets(path), { mode, recursive: true });
    },
    async makeSymlink(path, target) {
      try {
        await symlink(octets(target), octets(path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        // A symlink cannot be made in the place of another, but renamed onto it.
        const unfinished = octets(unfinishedName(path));
        await symlink(octets(target), unfinished);
        await rename(unfinished, octets(path)).catch(async (reason: unknown) => {
          await rm(unfinished, { force: true });
          throw reason;
        });
      }
    },
    async setTime(path, mtimeNs) {
      await using file = await open(octets(path), constants.O_RDONLY);
      const seconds = Number(mtimeNs / NANOS) + Number(mtimeNs % NANOS) / 1e9;
      await file.utimes(seconds, seconds);
    },
  };
}

function octets(path: string): Buffer {
  return Buffer.from(fromText(path), 'latin1');
}

/** `undefined` for what is no file, directory or symlink: devices, sockets and pipes are not copied. */
async function itemAt(path: string, follow: boolean): Promise<Item | undefined> {
  const stats: BigIntStats = await (follow ? stat : lstat)(octets(path), { bigint: true });
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : undefined;
  if (!kind) return undefined;
  return {
    name: path.slice(path.lastIndexOf('/') + 1),
    kind,
    size: Number(stats.size),
    mode: Number(stats.mode) & MODE_BITS,
    mtimeNs: stats.mtimeNs,
    ...(kind === 'symlink' && { target: toText((await readlink(octets(path), 'buffer')).toString('latin1')) }),
  };
}
