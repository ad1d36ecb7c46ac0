import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IVpc } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, type Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { except, exceptInboxes, exceptObjects } from './exceptions.ts';
import type { Handler } from './handlers.ts';
import type { LeatProps } from './props.ts';

export interface FunctionShape {
  readonly timeout: Duration;
  /** Processor time comes with it: 1,769 MB are one core. */
  readonly memoryMB: number;
  readonly description: string;
}

export interface FunctionSurroundings {
  readonly props: LeatProps;
  readonly vpc: IVpc | undefined;
  readonly code: Code;
  readonly environment: Readonly<Record<string, string>>;
}

/** The function of `functions/handlers/<name>.ts`, with a role of its own that may write its own log and nothing else. */
export function leatFunction(
  scope: Construct,
  name: Handler,
  { timeout, memoryMB, description, props, vpc, code, environment }: FunctionShape & FunctionSurroundings,
): Function {
  const id = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const logGroup = new LogGroup(scope, `${id}Log`, {
    retention: props.logDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const role = new Role(scope, `${id}Role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: `Leat ${props.name}: what the function ${name} may do`,
  });
  exceptInboxes(role, props.name);
  exceptObjects(role, props.buckets);
  logGroup.grantWrite(role);
  const inVpc = props.functionsInVpc && vpc !== undefined ? { vpc } : {};
  if (props.functionsInVpc) allowNetworkInterfaces(role);
  return new Function(scope, `${id}Function`, {
    description: `Leat ${props.name}: ${description}`,
    code,
    handler: `${name}.handler`,
    runtime: Runtime.NODEJS_24_X,
    architecture: props.architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
    timeout,
    memorySize: memoryMB,
    role,
    logGroup,
    environment: { ...environment, NODE_OPTIONS: '--enable-source-maps' },
    ...inVpc,
  });
}

/** What Lambda itself does with the function's role to reach into a VPC; EC2 knows no narrower resource for it. */
function allowNetworkInterfaces(role: Role): void {
  role.addToPolicy(
    new PolicyStatement({
      actions: [
        'ec2:AssignPrivateIpAddresses',
        'ec2:CreateNetworkInterface',
        'ec2:DeleteNetworkInterface',
        'ec2:DescribeNetworkInterfaces',
        'ec2:DescribeSubnets',
        'ec2:UnassignPrivateIpAddresses',
      ],
      resources: ['*'],
    }),
  );
  except(
    role,
    'IAM5[Resource::*]',
    'Lambda makes its network interfaces with the role of the function, and EC2 takes no narrower resource.',
  );
}
