import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type Assembly, STACK } from './assembly.ts';
import { bareBootstrap } from './bootstrap.ts';
import { cdk } from './cdk.ts';
import { ACCOUNT, environmentOf, REGION } from './environment.ts';

/** What the stack says of itself, with addresses that this machine reaches. */
export interface Deployment {
  /** For `leat up --join`. */
  readonly url: string;
  readonly tableName: string;
  readonly jobsQueueUrl: string;
  readonly eventsQueueArn: string;
  readonly agentsPolicyArn: string;
  readonly directAgentsPolicyArn: string;
}

interface Target {
  readonly endpoint: string;
  readonly engine: 'ministack' | 'localstack';
  /** For what the CLI writes. */
  readonly scratch: string;
}

/** Deploys with the CDK's own CLI: what is tested is what is deployed to AWS. */
export async function deploy({ dir }: Assembly, { endpoint, engine, scratch }: Target): Promise<Deployment> {
  const env = { ...environmentOf(endpoint), AWS_ENDPOINT_URL_S3: endpoint };
  const outputs = join(scratch, 'outputs.json');
  const quiet = ['--app', dir, '--output', join(scratch, 'cdk.out'), '--progress', 'events'];
  if (engine === 'ministack') await bareBootstrap(endpoint);
  else await cdk(['bootstrap', `aws://${ACCOUNT}/${REGION}`, ...quiet], env);
  await cdk(['deploy', STACK, '--require-approval', 'never', '--outputs-file', outputs, ...quiet], env);
  const told = Outputs.parse(JSON.parse(await readFile(outputs, 'utf8')))[STACK];
  await rm(outputs);
  return {
    url: reachable(told.Url, endpoint),
    tableName: told.TableName,
    jobsQueueUrl: told.JobsQueueUrl,
    eventsQueueArn: told.EventsQueueArn,
    agentsPolicyArn: told.AgentsPolicyArn,
    directAgentsPolicyArn: told.DirectAgentsPolicyArn,
  };
}

/** Engines tell function URLs apart by the Host header, on their one port; names below `localhost` lead to this machine. */
function reachable(url: string, endpoint: string): string {
  const [id] = new URL(url).hostname.split('.');
  return `http://${id}.lambda-url.${REGION}.localhost:${new URL(endpoint).port}/`;
}

const Outputs = z.object({
  [STACK]: z.object({
    Url: z.url(),
    TableName: z.string(),
    JobsQueueUrl: z.url(),
    EventsQueueArn: z.string(),
    AgentsPolicyArn: z.string(),
    DirectAgentsPolicyArn: z.string(),
  }),
});
