import { relative } from 'node:path';
import type { Agent } from '../main.ts';
import { DATA_DEFAULT } from './command.ts';

/** What `leat up` says once everything runs: what is mounted, where, and three things to do next. */
export function welcome({ at, fuseMissing, mounts, address }: Agent, data: string): string {
  const where = mounts.map(
    ({ path, uri }) => `  ${at === undefined ? path : path === '/' ? at : at + path}  is  ${uri}`,
  );
  const next = at === undefined ? nextWithout(mounts, data) : nextWith(at, mounts, data);
  return `${at === undefined ? `Not mounted: ${fuseMissing ?? 'as asked'}. In the namespace:` : `Mounted at ${at}:`}
${where.join('\n')}
API at ${address.url}. Ctrl-C stops.

Next, in another terminal:
${next.map((words) => `  ${words.map(quoted).join(' ')}\n`).join('')}`;
}

type Mounts = Agent['mounts'];

function nextWith(at: string, mounts: Mounts, data: string): string[][] {
  const path = mounts[0]?.path ?? '/';
  const shown = at + (path === '/' ? '' : path);
  return [['ls', '-l', relative('.', shown) || shown], leat(data, 'fs', 'load', path), leat(data, 'info')];
}

function nextWithout(mounts: Mounts, data: string): string[][] {
  return [leat(data, 'fs', 'ls', '-l', mounts[0]?.path ?? '/'), leat(data, 'info'), leat(data, 'down')];
}

/** How the person who started this reaches the command line: from the source tree, or installed. */
function leat(data: string, ...words: string[]): string[] {
  const script = process.argv[1] ?? 'leat';
  const program = script.endsWith('agent/leat.js') ? ['node', relative('.', script)] : ['leat'];
  return [...program, ...words, ...(data === DATA_DEFAULT ? [] : ['--data', data])];
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
