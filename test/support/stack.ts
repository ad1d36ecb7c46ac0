import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeatStack } from '../../cdk/leat-stack.ts';
import { readProps } from '../../cdk/props.ts';

const LOOKED_UP_IN = { account: '123456789012', region: 'eu-central-1' };
/** What looking it up would answer. */
const VPC = {
  vpcId: 'vpc-0123abcd',
  vpcCidrBlock: '10.0.0.0/16',
  ownerAccountId: LOOKED_UP_IN.account,
  availabilityZones: [],
  subnetGroups: [
    {
      name: 'Private',
      type: 'Private',
      subnets: [
        {
          subnetId: 'subnet-0123abcd',
          cidr: '10.0.0.0/24',
          availabilityZone: 'eu-central-1a',
          routeTableId: 'rtb-0123abcd',
        },
      ],
    },
  ],
};
const CONTEXT = {
  // No bundles: what is looked at is the template.
  'aws:cdk:bundling-stacks': [],
  [`vpc-provider:account=${LOOKED_UP_IN.account}:filter.vpc-id=${VPC.vpcId}:region=${LOOKED_UP_IN.region}:returnAsymmetricSubnets=true`]:
    VPC,
};

export interface MadeStack {
  readonly template: Template;
  /** What cdk-nag finds, as `rule at construct`. */
  findings(): string[];
}

/** The stack of these properties, as `-c NAME=VALUE` would give them. */
export function stackOf(context: Readonly<Record<string, string>> = {}): MadeStack {
  const outdir = mkdtempSync(join(tmpdir(), 'leat-stack-'));
  const app = new App({ context: CONTEXT, outdir });
  const leat = readProps({ context, env: {} });
  const stack = new LeatStack(app, `leat-${leat.name}`, { leat, ...(leat.vpc ? { env: LOOKED_UP_IN } : {}) });
  const template = Template.fromStack(stack);
  rmSync(outdir, { recursive: true });
  return {
    template,
    findings: () =>
      new AwsSolutionsChecks()
        .validateScope(app)
        .violations.flatMap(({ ruleName, violatingResources }) =>
          violatingResources.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
        ),
  };
}

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
}

/** The actions that a policy allows; the logical id of a policy begins with that of its construct. */
export function actionsOf(template: Template, type: string, idBegins: string): string[] {
  const policies = Object.entries(template.findResources(type)).filter(([id]) => id.startsWith(idBegins));
  if (policies.length !== 1) throw new Error(`${policies.length} policies of ${type} begin with ${idBegins}`);
  const [, policy] = policies[0] as [string, { Properties: { PolicyDocument: { Statement: Statement[] } } }];
  const actions = policy.Properties.PolicyDocument.Statement.flatMap(({ Action }) => Action);
  return [...new Set(actions)].toSorted();
}
