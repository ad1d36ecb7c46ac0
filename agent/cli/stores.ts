import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseInterval } from '#shared/config/parse.ts';
import { splitSetting } from '#shared/config/config.ts';
import { type Options, UsageError, usage } from './command.ts';

/** Options of whatever mounts a store. */
export const MOUNT_OPTIONS = {
  readonly: { type: 'boolean', help: 'nothing in the store can be changed through Leat' },
  sync: {
    type: 'string',
    value: 'TIME',
    help: 'how old a listing may grow before the store is asked again, as 30s or 5m; 0: ask always; -1: never (default)',
  },
  option: {
    type: 'string',
    multiple: true,
    value: 'NAME=VALUE',
    help: 'an option of the store, as s3.endpoint=http://localhost:9000; repeatable',
  },
} as const satisfies Options;

export const URI_HELP = `A store is s3://bucket/prefix, or a folder: /data, ./data or file:///data.`;

/** A name at the front of `name=URI`; an equals sign further back belongs to the URI. */
const NAMED = /^([^/=:.][^/=:]*)=(.+)$/s;

/** `URI` is mounted at `/`, `name=URI` at `/name`. */
export function parseStore(word: string): { readonly path: string; readonly uri: string } {
  const [, name, uri] = NAMED.exec(word) ?? [];
  return name === undefined ? { path: '/', uri: parseUri(word) } : { path: `/${name}`, uri: parseUri(uri ?? '') };
}

/** The URI of a store; a folder may be written as a path. */
export function parseUri(word: string): string {
  if (/^[a-z][a-z0-9+]*:\/\//i.test(word) || word.startsWith('memory:')) return word;
  const path = word.startsWith('file:') ? word.slice('file:'.length) : word;
  if (/^(\/|\.{1,2}(\/|$))/.test(path)) return pathToFileURL(resolve(path)).href;
  const meant = existsSync(word) ? `; the folder of that name is ./${word}` : '';
  throw new UsageError(`'${word}' is no store${meant}. ${URI_HELP}`);
}

/** What --readonly, --sync and --option say, as a mount has it. */
export function mountSettings(values: {
  readonly readonly?: boolean | undefined;
  readonly sync?: string | undefined;
  readonly option?: string[] | undefined;
}) {
  return {
    readOnly: values.readonly ?? false,
    syncIntervalMs: usage(() => parseInterval(values.sync ?? '-1'), '--sync'),
    options: usage(() => Object.fromEntries((values.option ?? []).map(splitSetting)), '--option'),
  };
}
