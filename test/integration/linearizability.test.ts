import { expect, it } from 'vitest';
import type { Row } from '#shared/model/inode.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { linearizabilityContract } from '../sim/linearizability.contract.ts';
import { judge } from '../sim/linearizability.ts';
import { record } from '../sim/recording.ts';
import { openers } from '../support/metastores.ts';

const HISTORIES_MAX = 20;
const { lmdb } = openers();

async function openLmdb() {
  const { metastore } = await lmdb();
  return { metastore, newId: metastore.newId };
}

linearizabilityContract('LMDB', openLmdb, 5);

it('an engine whose every fifth read is of the past is seen through', async () => {
  const verdicts = new Set<string>();
  // What happens at the same time may explain all that one history has read.
  for (let seed = 1; seed <= HISTORIES_MAX && !verdicts.has('violated'); seed++) {
    const { metastore, newId } = await openLmdb();
    const { history, setup } = await record({ metastore: stale(metastore), newId }, { seed, operations: 320 });
    verdicts.add(judge(history, setup).is);
  }
  expect(verdicts).toContain('violated');
});

function stale(metastore: Metastore): Metastore {
  const known = new Map<string, Row | undefined>();
  let reads = 0;
  return {
    ...metastore,
    async get(keys) {
      const rows = await metastore.get(keys);
      return keys.map(({ directory, name }, i) => {
        const key = `${directory}/${name}`;
        if (known.has(key) && ++reads % 5 === 0) return known.get(key);
        known.set(key, rows[i]);
        return rows[i];
      });
    },
  };
}
