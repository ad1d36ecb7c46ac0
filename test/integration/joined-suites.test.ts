import { reachThrough } from '../support/namespace.ts';
import { remoteOver } from '../support/remote.ts';

// What holds for a namespace holds for one behind an API too: the same tests, through real requests. Bodies of files are not
// sent that way.
reachThrough(async (namespace) => ({ ...remoteOver(namespace), write: namespace.write }));

await import('../../shared/namespace/attributes.test.ts');
await import('../../shared/namespace/content.test.ts');
await import('../../shared/namespace/listing.test.ts');
await import('../../shared/namespace/mounts.test.ts');
await import('../../shared/namespace/permissions.test.ts');
await import('../../shared/namespace/remove.test.ts');
await import('../../shared/namespace/rename.test.ts');
await import('../../shared/namespace/tree.test.ts');
