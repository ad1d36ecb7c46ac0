import { readFileSync } from 'node:fs';
import { Match } from 'aws-cdk-lib/assertions';
import { beforeAll, describe, expect, it } from 'vitest';
import { contextNames, environmentName, readProps } from '../../cdk/props.ts';
import { actionsOf, type MadeStack, stackOf } from '../support/stack.ts';

const POLICY = 'AWS::IAM::Policy';
const MANAGED_POLICY = 'AWS::IAM::ManagedPolicy';
const READS = ['dynamodb:BatchGetItem', 'dynamodb:GetItem', 'dynamodb:Query'];
const WRITES = ['dynamodb:ConditionCheckItem', 'dynamodb:DeleteItem', 'dynamodb:PutItem'];
const OF_THE_STREAM = ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'].map(
  (one) => `dynamodb:${one}`,
);
const KNOWN = [...READS, ...WRITES, ...OF_THE_STREAM];

let plain: MadeStack;
beforeAll(() => {
  plain = stackOf();
});

describe('the table', () => {
  it('is what the driver expects: binary keys, TTL, on demand, with a stream of both images and recovery to any second', () => {
    expect(() =>
      plain.template.hasResourceProperties('AWS::DynamoDB::Table', {
        KeySchema: [
          { AttributeName: 'd', KeyType: 'HASH' },
          { AttributeName: 'n', KeyType: 'RANGE' },
        ],
        AttributeDefinitions: [
          { AttributeName: 'd', AttributeType: 'B' },
          { AttributeName: 'n', AttributeType: 'B' },
        ],
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
        TimeToLiveSpecification: { AttributeName: 'x', Enabled: true },
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      }),
    ).not.toThrow();
  });

  it('outlives the stack unless that is told otherwise', () => {
    expect(() =>
      plain.template.hasResource('AWS::DynamoDB::Table', {
        DeletionPolicy: 'Retain',
        Properties: Match.objectLike({ DeletionProtectionEnabled: true }),
      }),
    ).not.toThrow();
    expect(() =>
      stackOf({ retain: 'false' }).template.hasResource('AWS::DynamoDB::Table', {
        DeletionPolicy: 'Delete',
        Properties: Match.objectLike({ DeletionProtectionEnabled: false }),
      }),
    ).not.toThrow();
  });
});

describe('what each may do', () => {
  it('agents read the table and never write it', () => {
    const actions = actionsOf(plain.template, MANAGED_POLICY, 'AgentsPolicy');
    expect(actions.filter((action) => action.startsWith('dynamodb:'))).toEqual(READS);
    expect(actions.filter((action) => !action.startsWith('dynamodb:'))).toEqual([
      'lambda:InvokeFunction',
      'lambda:InvokeFunctionUrl',
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:ReceiveMessage',
    ]);
  });

  it('agents call the function by its URL alone', () => {
    expect(() =>
      plain.template.hasResourceProperties(MANAGED_POLICY, {
        PolicyDocument: {
          Statement: Match.arrayWith([
            Match.objectLike({
              Action: 'lambda:InvokeFunction',
              Condition: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } },
            }),
          ]),
        },
      }),
    ).not.toThrow();
  });

  it('agents write the table only by the policy of direct mode', () => {
    const actions = actionsOf(plain.template, MANAGED_POLICY, 'DirectAgentsPolicy');
    expect(actions).toEqual([...READS, ...WRITES, 'sqs:SendMessage'].toSorted());
  });

  it('api makes and removes inboxes, feed sends to them, and of the others sweep alone removes them', () => {
    const inboxes = (role: string) =>
      actionsOf(plain.template, POLICY, role).filter((action) => /^sqs:(Create|DeleteQueue|Tag|Send)/.test(action));
    expect(inboxes('ApiRole')).toEqual(['sqs:CreateQueue', 'sqs:DeleteQueue', 'sqs:SendMessage', 'sqs:TagQueue']);
    expect(inboxes('FeedRole')).toEqual(['sqs:SendMessage']);
    expect(inboxes('SweepRole')).toEqual(['sqs:DeleteQueue', 'sqs:SendMessage']);
  });

  it('nobody scans, deletes or restores the table', () => {
    for (const type of [POLICY, MANAGED_POLICY]) {
      const text = JSON.stringify(plain.template.findResources(type));
      const used = new Set(text.match(/dynamodb:[A-Za-z*]+/g));
      expect([...used].filter((action) => !KNOWN.includes(action))).toEqual([]);
    }
  });

  it('under-stores are read and written by api, jobs and agents, read by events, and strange to the others', () => {
    const { template } = stackOf({ buckets: 's3://one,two' });
    const writes = (type: string, id: string) => actionsOf(template, type, id).includes('s3:PutObject');
    const reads = (type: string, id: string) => actionsOf(template, type, id).includes('s3:GetObject');
    expect(['ApiRole', 'JobsRole', 'EventsRole', 'FeedRole', 'SweepRole'].map((id) => writes(POLICY, id))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(['EventsRole', 'FeedRole', 'SweepRole'].map((id) => reads(POLICY, id))).toEqual([true, false, false]);
    expect(writes(MANAGED_POLICY, 'AgentsPolicy')).toBe(true);
  });
});

describe('functions and queues', () => {
  it('the URL wants signed requests', () => {
    expect(() => plain.template.hasResourceProperties('AWS::Lambda::Url', { AuthType: 'AWS_IAM' })).not.toThrow();
    expect(JSON.stringify(plain.template.toJSON())).not.toContain('FunctionUrlAuthType":"NONE');
  });

  it('all run on Node 24 and arm64, know the table, the queue and the name, and keep their log as long as is said', () => {
    const { template } = stackOf({ logDays: '7' });
    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    expect(functions).toHaveLength(5);
    for (const { Properties: shape } of functions) {
      expect(shape).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'] });
      expect(Object.keys(shape.Environment.Variables)).toEqual(
        expect.arrayContaining(['LEAT_TABLE', 'LEAT_JOBS_QUEUE_URL', 'LEAT_NAME']),
      );
      expect(shape.LoggingConfig.LogGroup).toBeDefined();
    }
    expect(() => template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 7 })).not.toThrow();
  });

  it('every queue hands on what fails, or is where that ends', () => {
    const queues = Object.entries(plain.template.findResources('AWS::SQS::Queue'));
    const ends = queues.filter(([id]) => id.includes('DeadLetters'));
    expect(ends).toHaveLength(3);
    const work = queues.filter((queue) => !ends.includes(queue)).map(([, { Properties: shape }]) => shape);
    expect(work).toHaveLength(2);
    for (const { RedrivePolicy } of work) expect(RedrivePolicy).toMatchObject({ maxReceiveCount: 5 });
  });

  it('what feeds a function reports what failed of a batch; the stream halves it, and does not drop it for hours', () => {
    expect(() => plain.template.resourceCountIs('AWS::Lambda::EventSourceMapping', 3)).not.toThrow();
    expect(() =>
      plain.template.allResourcesProperties('AWS::Lambda::EventSourceMapping', {
        FunctionResponseTypes: ['ReportBatchItemFailures'],
      }),
    ).not.toThrow();
    expect(() =>
      plain.template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
        BatchSize: 100,
        BisectBatchOnFunctionError: true,
        StartingPosition: 'TRIM_HORIZON',
        MaximumRecordAgeInSeconds: 6 * 3600,
        DestinationConfig: { OnFailure: { Destination: Match.anyValue() } },
      }),
    ).not.toThrow();
  });

  it('a message is not seen twice while its function may still work on it', () => {
    for (const [name, timeout] of [
      ['Jobs', 300],
      ['Events', 60],
    ] as const) {
      const queues = plain.template.findResources('AWS::SQS::Queue', {
        Properties: { VisibilityTimeout: 6 * timeout },
      });
      expect(Object.keys(queues).join()).toContain(`${name}Queue`);
    }
  });

  it('the sweep runs as often as is said', () => {
    expect(() =>
      plain.template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(1 minute)' }),
    ).not.toThrow();
    expect(() =>
      stackOf({ sweepMinutes: '5' }).template.hasResourceProperties('AWS::Events::Rule', {
        ScheduleExpression: 'rate(5 minutes)',
      }),
    ).not.toThrow();
  });
});

describe('alarms', () => {
  it('ring for dead letters, errors, throttles and a feed that lags, to the topic', () => {
    const topic = 'arn:aws:sns:eu-central-1:123456789012:ops';
    const { template } = stackOf({ alarmTopic: topic });
    for (const MetricName of [
      'ApproximateNumberOfMessagesVisible',
      'Errors',
      'Throttles',
      'IteratorAge',
      'WriteThrottleEvents',
    ]) {
      expect(() =>
        template.hasResourceProperties('AWS::CloudWatch::Alarm', { MetricName, AlarmActions: [topic] }),
      ).not.toThrow();
    }
  });

  it('are left out when they are off', () => {
    expect(() => stackOf({ alarms: 'off' }).template.resourceCountIs('AWS::CloudWatch::Alarm', 0)).not.toThrow();
  });
});

describe('the fleet', () => {
  const FLEET = { fleetSize: '3', fleetPackage: 'leat@0.1.0', vpc: 'vpc-0123abcd' };

  it('is not there unless it is asked for', () => {
    expect(() => plain.template.resourceCountIs('AWS::AutoScaling::AutoScalingGroup', 0)).not.toThrow();
  });

  it('is spot instances that install Leat and join', () => {
    const { template } = stackOf({ ...FLEET, fleetSpot: 'true', fleetType: 'c7gd.2xlarge' });
    expect(() =>
      template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
        MinSize: '3',
        MaxSize: '3',
        CapacityRebalance: true,
        MixedInstancesPolicy: { InstancesDistribution: { OnDemandPercentageAboveBaseCapacity: 0 } },
      }),
    ).not.toThrow();
    const script = JSON.stringify(template.findResources('AWS::EC2::LaunchTemplate'));
    expect(script).toContain("npm-24 install --global --prefix /opt/leat 'leat@0.1.0'");
    expect(script).toContain('dist/leat.js up --join ');
    expect(script).toContain('"Encrypted":true');
    expect(script).toContain('"HttpTokens":"required"');
  });

  it('lets nobody in', () => {
    const { template } = stackOf(FLEET);
    expect(() => template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0)).not.toThrow();
    expect(JSON.stringify(template.findResources('AWS::EC2::SecurityGroup'))).not.toContain('SecurityGroupIngress');
  });
});

describe('cdk-nag', () => {
  it.each([
    { name: 'plain', context: {} },
    { name: 'with buckets', context: { buckets: 'one,two', name: 'x' } },
    { name: 'with buckets that others set', context: { buckets: 'one', notifications: 'false' } },
    {
      name: 'with a fleet and functions in the VPC',
      context: { vpc: 'vpc-0123abcd', functionsInVpc: 'true', fleetSize: '2', fleetPackage: 'leat' },
    },
  ])('finds nothing in the stack $name', ({ context }) => {
    expect(stackOf(context as Record<string, string>).findings()).toEqual([]);
  });
});

describe('properties', () => {
  const read =
    (context: Record<string, unknown>, env: Record<string, string> = {}) =>
    () =>
      readProps({ context, env });

  it('come from the command line, then from the environment', () => {
    expect(environmentName('alarmTopic')).toBe('LEAT_STACK_ALARM_TOPIC');
    expect(environmentName('fleetCache')).toBe('LEAT_STACK_FLEET_CACHE');
    const env = { LEAT_STACK_NAME: 'env', LEAT_STACK_LOG_DAYS: '7' };
    expect(read({ name: 'line', buckets: ['one', 'two'], retain: false }, env)()).toMatchObject({
      name: 'line',
      logDays: 7,
      retain: false,
      buckets: ['one', 'two'],
    });
  });

  it('that are wrong are named, all of them at once', () => {
    const wrong = read({ name: 'Not this', logDays: '8', alarms: 'maybe', buckets: 'good,NO' });
    for (const part of ['name is "Not this"', 'logDays is "8"', 'alarms is "maybe"', '"NO" is no name of a bucket']) {
      expect(wrong).toThrow(part);
    }
  });

  it('that are misspelt are not taken for others', () => {
    expect(read({ bukets: 'one' })).toThrow(/bukets is not known; there are .*buckets/);
    expect(read({ 'aws:cdk:enable-path-metadata': true, '@aws-cdk/x:y': true })).not.toThrow();
  });

  it('that do not go together say what is missing', () => {
    expect(read({ fleetSize: '2', fleetPackage: 'leat' })).toThrow('-c vpc=default');
    expect(read({ fleetSize: '2', vpc: 'default' })).toThrow('npm pack');
    expect(read({ functionsInVpc: 'true' })).toThrow('functionsInVpc needs the VPC');
  });

  it('are all in docs/cloud.md', () => {
    const doc = readFileSync(new URL('../../docs/cloud.md', import.meta.url), 'utf8');
    expect(contextNames.filter((name) => !doc.includes(`\`${name}\``))).toEqual([]);
  });
});
