import { describe } from 'vitest';
import type { StoreEngine } from '../support/store-engine.ts';
import { attributesContract } from './under-store-attributes.contract.ts';
import { listingContract } from './under-store-listing.contract.ts';
import { objectsContract } from './under-store-objects.contract.ts';
import { uploadsContract } from './under-store-uploads.contract.ts';

/** Everything that the port promises, of every driver and every server that it is run on. */
export function underStoreContract(engine: StoreEngine): void {
  describe(`UnderStore contract: ${engine.name}`, () => {
    objectsContract(engine);
    listingContract(engine);
    attributesContract(engine);
    uploadsContract(engine);
  });
}
