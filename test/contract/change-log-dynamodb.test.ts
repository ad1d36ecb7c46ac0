import { describe } from 'vitest';
import { DYNAMODB_LOCAL, dynamoTables, MINISTACK } from '../support/dynamodb-engine.ts';
import { changeLogContract } from './change-log.contract.ts';

for (const kind of [DYNAMODB_LOCAL, MINISTACK]) {
  describe.skipIf(!kind.isThere())(`on ${kind.name}`, () => {
    const { newTable } = dynamoTables(kind);
    changeLogContract('dynamodb', newTable);
  });
}
