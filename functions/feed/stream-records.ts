import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { LeatError } from '#shared/model/faults.ts';
import type { SourcedChange } from '#shared/feed/changes.ts';
import { type Item, keyOf, rowOf } from '../drivers/dynamodb-items.ts';

/** An attribute as Lambda hands it over: binary ones are in base 64. */
interface StreamAttribute {
  readonly B?: string;
  readonly S?: string;
}
type Image = Readonly<Record<string, StreamAttribute>>;

/** A record of the table's stream, as far as we look. */
export interface StreamRecord {
  readonly dynamodb?: {
    readonly SequenceNumber?: string;
    /** Seconds since the epoch, rounded down. */
    readonly ApproximateCreationDateTime?: number;
    readonly Keys?: Image;
    readonly OldImage?: Image;
    readonly NewImage?: Image;
  };
}

export interface StreamChange extends SourcedChange {
  /** Of the stream; what Lambda is told when it is to be handed over again. */
  readonly sequence: string;
  /** Milliseconds since the epoch; no later than the change, and less than a second earlier. */
  readonly at: number;
}

export function sequenceOf({ dynamodb }: StreamRecord): string {
  return dynamodb?.SequenceNumber ?? '';
}

/** Throws `corrupt` for what Leat has not written. */
export function changeOf(record: StreamRecord): StreamChange {
  const { Keys, OldImage, NewImage, ApproximateCreationDateTime: seconds = 0 } = record.dynamodb ?? {};
  if (!Keys) throw new LeatError('corrupt', `the stream's record ${sequenceOf(record)} has no keys`);
  const source = NewImage?.['s']?.S;
  return {
    key: keyOf(itemOf(Keys)),
    before: OldImage && rowOf(itemOf(OldImage)),
    after: NewImage && rowOf(itemOf(NewImage)),
    sequence: sequenceOf(record),
    at: seconds * 1000,
    ...(source !== undefined && { source }),
  };
}

function itemOf(image: Image): Item {
  const attributes = Object.entries(image).flatMap(([name, { B }]): [string, AttributeValue][] =>
    B === undefined ? [] : [[name, { B: Buffer.from(B, 'base64') }]],
  );
  return Object.fromEntries(attributes);
}
