import { describe } from 'vitest';
import { drawnId, foretoldId } from '#functions/drivers/ids.ts';
import { linearizabilityContract } from '../sim/linearizability.contract.ts';
import { DYNAMODB_LOCAL, dynamoTables, MINISTACK } from '../support/dynamodb-engine.ts';

for (const kind of [DYNAMODB_LOCAL, MINISTACK]) {
  describe.skipIf(!kind.isThere())(`on ${kind.name}`, () => {
    const { newTable } = dynamoTables(kind);
    const open = async () => ({ metastore: (await newTable()).metastore, newId: drawnId, directoryIdOf: foretoldId });
    linearizabilityContract('dynamodb', open, 2);
  });
}
