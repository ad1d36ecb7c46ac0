import { WRITE_TYPE_OPTION, WRITE_TYPES } from '#shared/model/write-types.ts';
import { S3_OPTIONS } from '#shared/under-stores/s3-options.ts';

const OF_ALL = {
  'mode.file': { default: '644', help: 'Permissions of files whose store keeps none, octal.' },
  'mode.directory': { default: '755', help: 'Permissions of directories whose store keeps none, octal.' },
  uid: { default: '', help: 'Owner, by number, of what has none in its store; default: the owner of the directory.' },
  gid: { default: '', help: 'Group, likewise.' },
  [WRITE_TYPE_OPTION]: {
    default: 'CACHE_THROUGH',
    help: `Where what is written is when close returns: ${WRITE_TYPES.join(', ')}; see docs/mount.md.`,
  },
};

/** What --option takes, for help. */
export function storeOptionLines(): string {
  const rows: [string, { readonly default: string; readonly help: string }][] = [
    ...Object.entries(OF_ALL),
    ...Object.entries(S3_OPTIONS),
  ];
  return rows
    .map(([name, { default: standard, help }]) => `  ${name}${standard === '' ? '' : ` (${standard})`}\n      ${help}`)
    .join('\n');
}
