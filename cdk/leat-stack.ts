import { CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { AttributeType, BillingMode, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { IVpc } from 'aws-cdk-lib/aws-ec2';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { type FunctionUrl, FunctionUrlAuthType } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { agentFleet } from './agent-fleet.ts';
import { agentPolicies } from './agent-policies.ts';
import { alarms } from './alarms.ts';
import { tellOfChanges } from './bucket-notifications.ts';
import { controlFunctions, EVENTS_TIMEOUT, JOBS_TIMEOUT } from './functions.ts';
import { handlersCode } from './handlers.ts';
import type { LeatProps } from './props.ts';
import { workQueue } from './queues.ts';

/** The whole control plane of one namespace. Nothing in it costs anything while nobody asks but the alarms and the sweep. */
export class LeatStack extends Stack {
  constructor(scope: Construct, id: string, { leat, ...stackProps }: StackProps & { readonly leat: LeatProps }) {
    super(scope, id, { description: `Leat ${leat.name}: the control plane of a namespace`, ...stackProps });
    const vpc = vpcOf(this, leat.vpc);
    const table = namespaceTable(this, leat.retain);
    const jobs = workQueue(this, 'Jobs', JOBS_TIMEOUT);
    const events = workQueue(this, 'Events', EVENTS_TIMEOUT);
    const functions = controlFunctions(this, {
      props: leat,
      vpc,
      code: handlersCode(),
      table,
      jobs: jobs.queue,
      events: events.queue,
      environment: { LEAT_NAME: leat.name, LEAT_TABLE: table.tableName, LEAT_JOBS_QUEUE_URL: jobs.queue.queueUrl },
    });
    const url = functions.api.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
    tellOfChanges(this, events.queue, leat);
    const { feedDeadLetters, ...each } = functions;
    if (leat.alarms) {
      alarms(this, {
        name: leat.name,
        topic: leat.alarmTopic,
        table,
        feed: functions.feed,
        functions: each,
        deadLetters: { Feed: feedDeadLetters, Jobs: jobs.deadLetters, Events: events.deadLetters },
      });
    }
    const policies = agentPolicies(this, { leat, table, api: functions.api, jobs: jobs.queue });
    if (leat.fleet && vpc) agentFleet(this, { fleet: leat.fleet, leat, vpc, url: url.url, policy: policies.agents });
    tell(this, url, {
      TableName: [table.tableName, 'the table of the namespace'],
      JobsQueueUrl: [jobs.queue.queueUrl, 'the queue of tasks'],
      EventsQueueArn: [events.queue.queueArn, 'where S3 notifications of buckets go'],
      AgentsPolicyArn: [policies.agents.managedPolicyArn, 'for roles of agents: reads the table, never writes it'],
      DirectAgentsPolicyArn: [policies.direct.managedPolicyArn, 'in addition, for agents with metadata.mode=direct'],
    });
  }
}

/** The keys and attributes are those of `functions/drivers`: directory and name, the row, its version, its inode, and when it ends. */
function namespaceTable(scope: Construct, retain: boolean): Table {
  return new Table(scope, 'Table', {
    partitionKey: { name: 'd', type: AttributeType.BINARY },
    sortKey: { name: 'n', type: AttributeType.BINARY },
    billingMode: BillingMode.PAY_PER_REQUEST,
    stream: StreamViewType.NEW_AND_OLD_IMAGES,
    timeToLiveAttribute: 'x',
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    deletionProtection: retain,
    removalPolicy: retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
}

function vpcOf(scope: Construct, id: string | undefined): IVpc | undefined {
  if (id === undefined) return undefined;
  return Vpc.fromLookup(scope, 'Vpc', id === 'default' ? { isDefault: true } : { vpcId: id });
}

function tell(scope: Construct, { url }: FunctionUrl, rest: Readonly<Record<string, readonly [string, string]>>): void {
  new CfnOutput(scope, 'Join', { value: `leat up --join ${url}`, description: 'what makes a machine an agent' });
  new CfnOutput(scope, 'Url', { value: url, description: 'the door of the namespace; requests are signed (SigV4)' });
  for (const [id, [value, description]] of Object.entries(rest)) new CfnOutput(scope, id, { value, description });
}
