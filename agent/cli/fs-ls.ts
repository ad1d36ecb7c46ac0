import type { FileInfo } from '#functions/api/file-info.ts';
import type { Client } from './client.ts';
import { command } from './command.ts';
import { longLine } from './format.ts';
import { leatPath } from './location.ts';

const HELP = `
Lists directories (default /), ascending by the bytes of the name, or shows a file by itself. Any size; printed as it comes.
-l adds mode, uid, gid, size in bytes, how much of the file is cached on this node, and when it was modified (UTC).
-R lists all below, with paths.

JSON, a line per entry: {path, name, kind, inode, mode, uid, gid, size, cachedBytes, atimeNs, mtimeNs, ctimeNs, …};
mode is a number, sizes are bytes, times are nanoseconds since the epoch as text.

Errors: no such path, not permitted, the store does not answer.

  leat fs ls -l /data
`;

export const fsLs = command({
  name: 'fs ls',
  usage: '[PATH…]',
  takes: [0, 1000],
  summary: 'list directories',
  help: HELP,
  options: {
    long: { type: 'boolean', short: 'l', help: 'all attributes, as ls -l' },
    recursive: { type: 'boolean', short: 'R', help: 'everything below, too' },
  },
  async run({ positionals, values, terminal, agent, print }) {
    const paths = positionals.length > 0 ? positionals.map(leatPath) : ['/'];
    const client = agent();
    const show = (info: FileInfo, label: string) => print(`${values.long ? longLine(info, label) : label}\n`, info);
    for (const [i, path] of paths.entries()) {
      const info = await (await client.files.$get({ query: { path, follow: 'true' } })).json();
      if (info.kind !== 'directory') {
        show(info, path);
        continue;
      }
      if (paths.length > 1 && !values.json) terminal.out(`${i > 0 ? '\n' : ''}${path}:\n`);
      await list(client, path, { recursive: values.recursive ?? false, show });
    }
  },
});

interface Listing {
  readonly recursive: boolean;
  show(info: FileInfo, label: string): void;
}

async function list(client: Client, path: string, { recursive, show }: Listing): Promise<void> {
  // A stack of directories, not of pages: it is as long as the tree is deep and wide in directories, never in files.
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const found: string[] = [];
    for await (const info of entriesOf(client, next)) {
      show(info, recursive ? info.path : info.name);
      if (recursive && info.kind === 'directory') found.push(info.path);
    }
    waiting.push(...found.reverse());
  }
}

/** All entries of a directory, page by page. */
export async function* entriesOf(client: Client, path: string): AsyncGenerator<FileInfo> {
  for (let after: string | undefined, more = true; more;) {
    const response = await client.files.list.$get({ query: { path, ...(after !== undefined && { after }) } });
    const { entries, next } = (await response.json()) as { entries: FileInfo[]; next?: string };
    yield* entries;
    after = next;
    more = next !== undefined;
  }
}
