import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

const PERIOD = Duration.minutes(5);
/** An agent that hears nothing for so long shows what was, until its lease ends. */
const FEED_LAG_MAX = Duration.minutes(1);

export interface Alarmed {
  readonly name: string;
  readonly topic: string | undefined;
  readonly table: Table;
  readonly feed: IFunction;
  readonly functions: Readonly<Record<string, IFunction>>;
  readonly deadLetters: Readonly<Record<string, IQueue>>;
}

/** Each says in its description what is wrong and where to look. */
export function alarms(scope: Construct, { name, topic, table, feed, functions, deadLetters }: Alarmed): Alarm[] {
  const above = (id: string, max: number, [metric, description]: [IMetric, string]) =>
    new Alarm(scope, id, {
      alarmDescription: `Leat ${name}: ${description}`,
      metric,
      threshold: max,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 1,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
  const made = [
    ...Object.entries(deadLetters).map(([id, queue]) =>
      above(`${id}DeadLettersAlarm`, 0, [
        queue.metricApproximateNumberOfMessagesVisible({ period: PERIOD, statistic: 'Maximum' }),
        `the queue of dead letters of ${id.toLowerCase()} is not empty: read why in its messages, then redrive it.`,
      ]),
    ),
    ...Object.entries(functions).flatMap(([id, one]) => [
      above(`${id}ErrorsAlarm`, 0, [
        one.metricErrors({ period: PERIOD }),
        `the function ${id} failed: its log says why.`,
      ]),
      above(`${id}ThrottlesAlarm`, 0, [
        one.metricThrottles({ period: PERIOD }),
        `Lambda turned calls of ${id} away: raise the concurrency of the account, or what is reserved.`,
      ]),
    ]),
    above('FeedLagAlarm', FEED_LAG_MAX.toMilliseconds(), [
      feed.metric('IteratorAge', { period: PERIOD, statistic: 'Maximum' }),
      'the change feed lags: the log of the function feed says at what.',
    ]),
    ...['ReadThrottleEvents', 'WriteThrottleEvents'].map((metric) =>
      above(`Table${metric}Alarm`, 0, [
        table.metric(metric, { period: PERIOD, statistic: 'Sum' }),
        'DynamoDB turned requests away: one directory takes more than a partition does, or the account is at its limit.',
      ]),
    ),
  ];
  if (topic !== undefined) {
    const action = new SnsAction(Topic.fromTopicArn(scope, 'AlarmTopic', topic));
    for (const alarm of made) alarm.addAlarmAction(action);
  }
  return made;
}
