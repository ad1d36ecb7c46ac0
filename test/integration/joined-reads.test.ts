import { reachThrough } from '../support/namespace.ts';
import { joinedTo } from '../support/remote.ts';

// What holds for a namespace holds at an agent that has joined one: the same tests, with reads made here from rows that come
// over the API. Uploads are another matter (`joined.test.ts`): nobody holds the key for an agent.
reachThrough(async (namespace, deps) => ({ ...(await joinedTo(namespace, deps)), write: namespace.write }));

await import('../support/namespace-suites.ts');
