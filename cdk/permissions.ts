import { Stack } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

/** No Scan and no index: the drivers ask for keys and for ranges of one directory. */
const READS = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'];
/** What the driver writes with; TransactWriteItems is allowed by these, item by item. */
const WRITES = ['dynamodb:PutItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem'];

export const readTable = (table: Table) => new PolicyStatement({ actions: READS, resources: [table.tableArn] });

export const writeTable = (table: Table) => new PolicyStatement({ actions: WRITES, resources: [table.tableArn] });

/** The poller of an event source mapping works with the role of the function that it feeds. */
export function readStream(table: Table): PolicyStatement[] {
  const stream = table.tableStreamArn ?? '';
  return [
    new PolicyStatement({
      actions: ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'],
      resources: [stream],
    }),
    // It names no stream: IAM takes the table's streams as the narrowest.
    new PolicyStatement({ actions: ['dynamodb:ListStreams'], resources: [`${table.tableArn}/stream/*`] }),
  ];
}

/** Agents' inboxes are made when agents join, so they are known by the beginning of their names only. */
export const inboxArn = (scope: Construct, name: string) =>
  Stack.of(scope).formatArn({ service: 'sqs', resource: `leat-${name}-agent-*` });

export const ownInboxes = (arn: string) =>
  new PolicyStatement({ actions: ['sqs:CreateQueue', 'sqs:TagQueue', 'sqs:DeleteQueue'], resources: [arn] });

export const removeInboxes = (arn: string) => new PolicyStatement({ actions: ['sqs:DeleteQueue'], resources: [arn] });

export const sendToInboxes = (arn: string) => new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [arn] });

export const receiveFromInboxes = (arn: string) =>
  new PolicyStatement({
    actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility'],
    resources: [arn],
  });

/** Function URLs made since October 2025 want both, and the second must not open the function to a plain Invoke. */
export const callUrl = (api: IFunction) => [
  new PolicyStatement({
    actions: ['lambda:InvokeFunctionUrl'],
    resources: [api.functionArn],
    conditions: { StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' } },
  }),
  new PolicyStatement({
    actions: ['lambda:InvokeFunction'],
    resources: [api.functionArn],
    conditions: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } },
  }),
];

/** Reading and listing what lies in under-stores. */
export function readBuckets(scope: Construct, buckets: readonly string[]): PolicyStatement[] {
  if (buckets.length === 0) return [];
  return [
    new PolicyStatement({
      actions: ['s3:ListBucket', 's3:GetBucketLocation', 's3:ListBucketMultipartUploads'],
      resources: buckets.map((bucket) => bucketArn(scope, bucket)),
    }),
    new PolicyStatement({
      actions: ['s3:GetObject', 's3:GetObjectVersion', 's3:GetObjectAttributes', 's3:GetObjectTagging'],
      resources: buckets.map((bucket) => `${bucketArn(scope, bucket)}/*`),
    }),
  ];
}

export function writeBuckets(scope: Construct, buckets: readonly string[]): PolicyStatement[] {
  if (buckets.length === 0) return [];
  return [
    new PolicyStatement({
      actions: [
        's3:PutObject',
        's3:PutObjectTagging',
        's3:DeleteObject',
        's3:AbortMultipartUpload',
        's3:ListMultipartUploadParts',
      ],
      resources: buckets.map((bucket) => `${bucketArn(scope, bucket)}/*`),
    }),
  ];
}

export const bucketArn = (scope: Construct, bucket: string) =>
  Stack.of(scope).formatArn({ service: 's3', region: '', account: '', resource: bucket });
