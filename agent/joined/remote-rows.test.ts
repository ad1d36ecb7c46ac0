import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import { MOUNTS, PLACES, ROOT } from '#shared/model/ids.ts';
import type { Row } from '#shared/model/inode.ts';
import type { Name } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { FILE } from '../../test/support/api.ts';
import { openers } from '../../test/support/metastores.ts';
import { refused } from '../../test/support/namespace.ts';
import { callingOf } from '../../test/support/remote.ts';
import { patientCall } from './patient-call.ts';
import { ReadOnlyRows, readOnly, type ReadRows, remoteRows, rowsAllowed } from './remote-rows.ts';

const { heap } = openers();
const key = (name: string, directory = ROOT) => ({ directory, name: name as Name });
const record: Row = { kind: 'record', version: 3, body: '{"uri":"s3://é"}', expiresAt: 12.5 };

async function opened() {
  const { metastore } = await heap();
  const rows = [key('\xff\0'), key('b'), key('m', MOUNTS), key('\0\x80\xff', PLACES)];
  await metastore.commit(
    rows.map((at, i) => ({ act: 'put', key: at, when: 'absent', row: i < 2 ? FILE : record }) as const),
  );
  const remote = remoteRows(patientCall(callingOf({} as Namespace, { rows: metastore })));
  return { metastore, remote, rows };
}

describe('rows over an API', () => {
  it('are those that are there, whatever their kind and name', async () => {
    const { metastore, remote, rows } = await opened();
    const asked = [...rows, key('none'), key('')];
    expect(await remote.get(asked)).toEqual(await metastore.get(asked));
    for (const directory of [ROOT, MOUNTS, PLACES]) {
      expect(await remote.list(directory, { limit: 10 })).toEqual(await metastore.list(directory, { limit: 10 }));
    }
    const page = { after: 'b' as Name, limit: 1 };
    expect((await remote.list(ROOT, page)).map(({ name }) => name)).toEqual(['\xff\0']);
  });

  it('come in pages, as many as are asked for', async () => {
    const { metastore, remote } = await opened();
    for (let i = 0; i < 25; i++) {
      const changes = Array.from({ length: 100 }, (_, j) => {
        const at = key(String(i * 100 + j).padStart(4, '0'), MOUNTS);
        return { act: 'put', key: at, when: 'absent', row: record } as const;
      });
      await metastore.commit(changes);
    }
    for (const limit of [999, 1000, 1001, 2000, 2501, 9000]) {
      expect(await remote.list(MOUNTS, { limit })).toEqual(await metastore.list(MOUNTS, { limit }));
    }
  });

  it('are not shown where nobody joins', async () => {
    const call = patientCall(callingOf({} as Namespace));
    await refused('unsupported', remoteRows(call).get([key('a')]));
  });

  it('are not written', async () => {
    const { remote } = await opened();
    const change = { act: 'remove', key: key('b'), when: 'any' } as const;
    await expect(readOnly(remote).commit([change])).rejects.toBeInstanceOf(ReadOnlyRows);
    expect(await readOnly(remote).get([key('b')])).toEqual([FILE]);
  });
});

describe('rows of a table', () => {
  const failing = (kind: 'denied' | 'unavailable') => {
    let asked = 0;
    const fail = async () => {
      asked++;
      throw new LeatError(kind, 'not for you');
    };
    return { rows: { get: fail, list: fail } satisfies ReadRows, asked: () => asked };
  };

  it('that may not be read come by the API, from then on', async () => {
    const { remote } = await opened();
    const { rows: direct, asked } = failing('denied');
    const logged: string[] = [];
    const rows = rowsAllowed({ direct, remote, log: (line) => void logged.push(line) });
    expect(await Promise.all([rows.get([key('b')]), rows.get([key('b')])])).toEqual([[FILE], [FILE]]);
    expect(await rows.list(MOUNTS, { limit: 1 })).toHaveLength(1);
    expect([asked(), logged.length]).toEqual([2, 1]);
  });

  it('that cannot be read just now are not asked for elsewhere', async () => {
    const { remote } = await opened();
    const { rows: direct } = failing('unavailable');
    await refused('unavailable', rowsAllowed({ direct, remote, log: () => {} }).get([key('b')]));
  });
});
