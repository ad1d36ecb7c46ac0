import { reachThrough } from '../support/namespace.ts';
import { joinedTo } from '../support/remote.ts';

// What holds for a namespace holds at an agent that has joined one: the same tests, with reads made here from rows that come
// over the API. Uploads are another matter (`joined.test.ts`): nobody holds the key for an agent.
reachThrough(async (namespace, deps) => ({ ...(await joinedTo(namespace, deps)), write: namespace.write }));

await import('../../shared/namespace/attributes.test.ts');
await import('../../shared/namespace/content.test.ts');
await import('../../shared/namespace/listing.test.ts');
await import('../../shared/namespace/mounts.test.ts');
await import('../../shared/namespace/permissions.test.ts');
await import('../../shared/namespace/remove.test.ts');
await import('../../shared/namespace/rename.test.ts');
await import('../../shared/namespace/tree.test.ts');
