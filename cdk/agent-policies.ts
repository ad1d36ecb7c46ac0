import type { Stack } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import {
  callUrl,
  inboxArn,
  readBuckets,
  readTable,
  receiveFromInboxes,
  writeBuckets,
  writeTable,
} from './permissions.ts';
import { exceptInboxes, exceptObjects } from './exceptions.ts';
import type { LeatProps } from './props.ts';

export interface AgentPolicies {
  /** What every agent needs. Rows are changed by the API alone. */
  readonly agents: ManagedPolicy;
  /** In addition, for a fleet that is trusted to run the use cases itself (`metadata.mode=direct`). */
  readonly direct: ManagedPolicy;
}

export interface Granted {
  readonly leat: LeatProps;
  readonly table: Table;
  readonly api: IFunction;
  readonly jobs: IQueue;
}

export function agentPolicies(stack: Stack, { leat, table, api, jobs }: Granted): AgentPolicies {
  const agents = new ManagedPolicy(stack, 'AgentsPolicy', {
    description: `Leat ${leat.name}: agents read the table, call the API and receive from their inboxes`,
    statements: [
      readTable(table),
      ...callUrl(api),
      receiveFromInboxes(inboxArn(stack, leat.name)),
      ...readBuckets(stack, leat.buckets),
      ...writeBuckets(stack, leat.buckets),
    ],
  });
  exceptInboxes(agents, leat.name);
  exceptObjects(agents, leat.buckets);
  const direct = new ManagedPolicy(stack, 'DirectAgentsPolicy', {
    description: `Leat ${leat.name}: agents with metadata.mode=direct write the table, too`,
    statements: [
      readTable(table),
      writeTable(table),
      new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [jobs.queueArn] }),
    ],
  });
  return { agents, direct };
}
