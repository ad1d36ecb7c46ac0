import { fileURLToPath } from 'node:url';
import { LeatError } from '../model/faults.ts';
import type { UnderStore } from '../ports/under-store.ts';
import { localUnderStore } from './local.ts';
import { s3UnderStore } from './s3.ts';

export interface StoreAddress {
  readonly uri: string;
  readonly options: Readonly<Record<string, string>>;
}

/** The driver that a mount's URI asks for. */
export function openUnderStore({ uri, options }: StoreAddress): UnderStore {
  const scheme = /^([a-z0-9]+):/.exec(uri)?.[1];
  if (scheme === 's3' || scheme === 's3a') return s3UnderStore({ uri, options });
  if (scheme === 'file') return localUnderStore({ root: fileURLToPath(uri) });
  throw new LeatError('invalid', `${uri}: a store is written s3://BUCKET/PREFIX or file:///FOLDER`);
}
