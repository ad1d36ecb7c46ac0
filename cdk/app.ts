import { App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { LeatStack } from './leat-stack.ts';
import { readProps } from './props.ts';

const app = new App();
const leat = readProps({ context: app.node.getAllContext() as Record<string, unknown>, env: process.env });
const stack = new LeatStack(app, `leat-${leat.name}`, { leat, ...where(leat.vpc) });
Tags.of(stack).add('leat', leat.name);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

/** Only looking a VPC up needs to know the account before it is deployed to. */
function where(vpc: string | undefined) {
  const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = process.env;
  if (vpc === undefined) return {};
  if (account === undefined || region === undefined)
    throw new Error('to look the VPC up, the CDK needs credentials and a region: set AWS_PROFILE and AWS_REGION');
  return { env: { account, region } };
}
