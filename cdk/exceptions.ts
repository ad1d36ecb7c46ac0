import { type CfnElement, Stack, Token, Validations } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IConstruct } from 'constructs';

/** Where cdk-nag is answered rather than obeyed: what it found, and why it stays so. */
export function except(construct: IConstruct, finding: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: `AwsSolutions-${finding}`, reason });
}

export function exceptInboxes(construct: IConstruct, name: string): void {
  const { region, account } = Stack.of(construct);
  const inboxes = `arn:<AWS::Partition>:sqs:${asFound(region, 'Region')}:${asFound(account, 'AccountId')}:leat-${name}-agent-*`;
  const reason = 'An inbox is made when an agent joins: of its name, only the beginning is known at deployment.';
  except(construct, `IAM5[Resource::${inboxes}]`, reason);
}

/** cdk-nag writes in angle brackets what is only known at deployment. */
const asFound = (value: string, name: string) => (Token.isUnresolved(value) ? `<AWS::${name}>` : value);

export function exceptObjects(construct: IConstruct, buckets: readonly string[]): void {
  const reason = 'Objects of a bucket that is an under-store: which ones there are, only the namespace knows.';
  for (const bucket of buckets) except(construct, `IAM5[Resource::arn:<AWS::Partition>:s3:::${bucket}/*]`, reason);
}

export function exceptStreams(feed: IFunction, table: Table): void {
  const logicalId = Stack.of(table).getLogicalId(table.node.defaultChild as CfnElement);
  const reason = 'ListStreams is asked of all streams that a table had, so that is the narrowest there is.';
  if (feed.role) except(feed.role, `IAM5[Resource::<${logicalId}.Arn>/stream/*]`, reason);
}
