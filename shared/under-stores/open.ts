import { fileURLToPath } from 'node:url';
import { LeatError } from '../model/faults.ts';
import type { UnderStore } from '../ports/under-store.ts';
import { localUnderStore } from './local.ts';
import { S3_OPTIONS } from './s3-options.ts';
import { s3UnderStore } from './s3.ts';

/** Of mounts of every store: the namespace reads them, to make rows of entries without attributes. */
const ROW_OPTIONS = ['mode.file', 'mode.directory', 'uid', 'gid', 'write.type'];

export interface StoreAddress {
  readonly uri: string;
  readonly options: Readonly<Record<string, string>>;
}

/** The driver that a mount's URI asks for. */
export function openUnderStore({ uri, options }: StoreAddress): UnderStore {
  const scheme = /^([a-z0-9]+):/.exec(uri)?.[1];
  if (scheme === 's3' || scheme === 's3a') {
    demandKnown(options, [...Object.keys(S3_OPTIONS), ...ROW_OPTIONS]);
    return s3UnderStore({ uri, options });
  }
  if (scheme === 'file') {
    demandKnown(options, ROW_OPTIONS);
    return localUnderStore({ root: fileURLToPath(uri) });
  }
  throw new LeatError('invalid', `${uri}: a store is written s3://BUCKET/PREFIX or file:///FOLDER`);
}

function demandKnown(options: StoreAddress['options'], known: readonly string[]): void {
  const strange = Object.keys(options).find((name) => !known.includes(name));
  if (strange !== undefined)
    throw new LeatError('invalid', `${strange}: no such option; there are ${known.join(', ')}`);
}
