import { keyItem, toItem, type Item } from '#functions/drivers/dynamodb-items.ts';
import type { StreamRecord } from '#functions/feed/stream-records.ts';
import type { RowChange } from '#shared/ports/change-feed.ts';

let numbers = 0;

/** A change as the table's stream tells of it, by way of the items that the driver writes. `at` in milliseconds. */
export function streamRecord({ key, before, after }: RowChange, { at = Date.now(), source = '' } = {}): StreamRecord {
  const by = source === '' ? undefined : source;
  return {
    dynamodb: {
      SequenceNumber: String(++numbers).padStart(21, '0'),
      ApproximateCreationDateTime: Math.floor(at / 1000),
      Keys: imageOf(keyItem(key)),
      ...(before && { OldImage: imageOf(toItem(key, before, by)) }),
      ...(after && { NewImage: imageOf(toItem(key, after, by)) }),
    },
  };
}

/** As JSON has it: binary attributes are in base 64. */
function imageOf(item: Item) {
  const attributes = Object.entries(item).map(([name, { B, S, N }]) => {
    const value = B ? { B: Buffer.from(B).toString('base64') } : S === undefined ? { N: N ?? '' } : { S };
    return [name, value] as const;
  });
  return Object.fromEntries(attributes);
}
