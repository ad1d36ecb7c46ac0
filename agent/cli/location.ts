import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsePath, toText } from '#shared/model/names.ts';
import { UsageError, usage } from './command.ts';

/** A file or directory on one side or the other of `leat fs cp`. */
export interface Location {
  readonly side: 'leat' | 'local';
  readonly path: string;
}

const LOCAL = /^\.{1,2}(\/|$)/;

export const LOCATION_HELP = `A path is in Leat if it starts with / or leat:/, and on this machine if it starts with ./ or ../ or file: (file:/tmp/x).`;

/** The one rule: `./`, `../` and `file:` are this machine, `/` and `leat:/` are Leat, and nothing else is a path. */
export function location(word: string): Location {
  if (LOCAL.test(word)) return { side: 'local', path: resolve(word) };
  if (word.startsWith('file:')) return { side: 'local', path: localPath(word) };
  if (!word.startsWith('/') && !word.startsWith('leat:'))
    throw new UsageError(`'${word}' is no path. ${LOCATION_HELP}`);
  return { side: 'leat', path: leatPath(word) };
}

/** A path in Leat, normalised. */
export function leatPath(word: string): string {
  const path = word.startsWith('leat:') ? word.slice('leat:'.length).replace(/^\/\/(?=\/)/, '') : word;
  if (!path.startsWith('/')) throw new UsageError(`'${word}': a path in Leat starts with /`);
  return toText(usage(() => parsePath(path)));
}

/** `file:///a%20b` is a URL; `file:/a b` and `file:a` are taken as they stand. */
function localPath(word: string): string {
  return word.startsWith('file://') ? fileURLToPath(word) : resolve(word.slice('file:'.length));
}
