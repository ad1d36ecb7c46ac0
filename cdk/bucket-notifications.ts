import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Bucket, EventType } from 'aws-cdk-lib/aws-s3';
import { SqsDestination } from 'aws-cdk-lib/aws-s3-notifications';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { except } from './exceptions.ts';
import { bucketArn } from './permissions.ts';
import type { LeatProps } from './props.ts';

/** S3 may send to the queue from the buckets of the stack, and is set to, unless their owner wants to do that. */
export function tellOfChanges(stack: Stack, queue: Queue, { buckets, notifications }: LeatProps): void {
  for (const bucket of notifications ? buckets : []) {
    const imported = Bucket.fromBucketName(stack, `Bucket${bucket}`, bucket);
    imported.addEventNotification(EventType.OBJECT_CREATED, new SqsDestination(queue));
    imported.addEventNotification(EventType.OBJECT_REMOVED, new SqsDestination(queue));
  }
  exceptHandler(stack);
  if (notifications || buckets.length === 0) return;
  queue.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('s3.amazonaws.com')],
      actions: ['sqs:SendMessage'],
      resources: [queue.queueArn],
      conditions: {
        ArnLike: { 'aws:SourceArn': buckets.map((bucket) => bucketArn(stack, bucket)) },
        StringEquals: { 'aws:SourceAccount': stack.account },
      },
    }),
  );
}

/** CloudFormation cannot set a bucket that is not of the stack: the CDK's own function does. */
function exceptHandler(stack: Stack): void {
  const handler = stack.node.children.find(({ node }) => node.id.startsWith('BucketNotificationsHandler'));
  const policy = 'arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';
  if (handler)
    except(handler, `IAM4[Policy::${policy}]`, 'The function and its role are the ones of the CDK, not ours.');
}
