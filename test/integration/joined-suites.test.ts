import { reachThrough } from '../support/namespace.ts';
import { remoteOver } from '../support/remote.ts';

// What holds for a namespace holds for one behind an API too: the same tests, through real requests. Bodies of files are not
// sent that way.
reachThrough(async (namespace, { clock }) => ({
  ...remoteOver(namespace, undefined, clock),
  write: namespace.write,
}));

await import('../support/namespace-suites.ts');
