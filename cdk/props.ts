import { architecture, bucketNames, flag, oneOf, optional, property, type Property, whole, word } from './property.ts';

/** What a stack can be told. Every property is given as `-c NAME=VALUE`, or in the environment as `LEAT_STACK_NAME` in capitals. */
export interface LeatProps {
  /** Tells several stacks of one account and region apart. */
  readonly name: string;
  /** The table outlives the stack, and cannot be deleted by mistake. */
  readonly retain: boolean;
  readonly alarms: boolean;
  /** The SNS topic that alarms tell; without it they are only shown. */
  readonly alarmTopic: string | undefined;
  readonly logDays: number;
  readonly architecture: 'arm64' | 'x86_64';
  readonly sweepMinutes: number;
  /** Under-stores that functions and agents may read and write. */
  readonly buckets: readonly string[];
  /** Whether those buckets are set to tell the events queue of what others change in them. */
  readonly notifications: boolean;
  /** Where the fleet runs; `default` is the account's default VPC. */
  readonly vpc: string | undefined;
  /** Functions run in the VPC too: for stores that are reached only from there. */
  readonly functionsInVpc: boolean;
  readonly fleet: FleetProps | undefined;
}

export interface FleetProps {
  readonly size: number;
  readonly instanceType: string;
  readonly spot: boolean;
  /** The package that instances install: a .tgz made by `npm pack`, or what npm is to find. */
  readonly package: string;
  readonly mountPoint: string;
  readonly cacheGiB: number;
}

const FLEET_SIZE_MAX = 1000;
const CACHE_GIB_MAX = 16_384;
const SWEEP_MINUTES_MAX = 60;
/** CloudWatch takes these only. */
const LOG_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** This table is what there is to set; docs/cloud.md shows it. */
const PROPERTIES = {
  name: property('main', word(/^[a-z][a-z0-9-]{0,19}$/, 'a to z, 0 to 9 and -, at most 20'), 'tells stacks apart'),
  retain: property(true, flag, 'the table outlives the stack, and is protected from deletion'),
  alarms: property(true, flag, 'alarms for dead letters, errors, throttles and a feed that lags'),
  alarmTopic: property(
    undefined,
    optional(/^arn:[^:]+:sns:/, 'the ARN of an SNS topic'),
    'the SNS topic that alarms tell',
  ),
  logDays: property(30, oneOf(LOG_DAYS), 'days that logs are kept'),
  architecture: property<'arm64' | 'x86_64'>('arm64', architecture, 'of the functions and the fleet: arm64 or x86_64'),
  sweepMinutes: property(1, whole(1, SWEEP_MINUTES_MAX), 'minutes from one sweep to the next'),
  buckets: property<readonly string[]>([], bucketNames, 'under-stores that functions and agents may use, by commas'),
  notifications: property(true, flag, 'set those buckets to tell the stack of what others change'),
  vpc: property(undefined, optional(/^(default|vpc-[0-9a-f]+)$/, '"default" or vpc-…'), 'the VPC of the fleet'),
  functionsInVpc: property(false, flag, 'functions run in the VPC too, for stores that are reached only from there'),
  fleetSize: property(0, whole(0, FLEET_SIZE_MAX), 'instances that run an agent; 0 for none'),
  fleetType: property('c7gd.xlarge', word(/^[a-z0-9-]+\.[a-z0-9-]+$/, 'an instance type'), 'their instance type'),
  fleetSpot: property(false, flag, 'they are spot instances'),
  fleetPackage: property(
    '',
    word(/./, 'a path or an npm package'),
    'what they install: a .tgz of `npm pack`, or an npm package',
  ),
  fleetMount: property('/mnt/leat', word(/^\/[\w./-]+$/, 'an absolute path'), 'where they mount the namespace'),
  fleetCache: property(100, whole(8, CACHE_GIB_MAX), 'GiB of the volume that holds their cache'),
} as const;

type Name = keyof typeof PROPERTIES;

export const contextNames = Object.keys(PROPERTIES) as readonly Name[];

/** `alarmTopic` is LEAT_STACK_ALARM_TOPIC. */
export const environmentName = (name: string) =>
  `LEAT_STACK_${name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

export interface Sources {
  readonly context: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws one error that names every property that is wrong, so that one run shows all of them. */
export function readProps({ context, env }: Sources): LeatProps {
  const wrong = unknownNames(context);
  const read = <N extends Name>(name: N): (typeof PROPERTIES)[N]['otherwise'] => {
    const { otherwise, parse } = PROPERTIES[name] as Property<unknown>;
    const text = textOf(context[name] ?? env[environmentName(name)]);
    try {
      return (text === '' ? otherwise : parse(text)) as never;
    } catch (error) {
      wrong.push(`${name} is ${JSON.stringify(text)}, ${(error as Error).message}`);
      return otherwise as never;
    }
  };
  const vpc = read('vpc');
  const props: LeatProps = {
    name: read('name'),
    retain: read('retain'),
    alarms: read('alarms'),
    alarmTopic: read('alarmTopic'),
    logDays: read('logDays'),
    architecture: read('architecture'),
    sweepMinutes: read('sweepMinutes'),
    buckets: read('buckets'),
    notifications: read('notifications'),
    vpc,
    functionsInVpc: read('functionsInVpc'),
    fleet: fleetOf(read),
  };
  wrong.push(...contradictions(props));
  if (wrong.length > 0)
    throw new Error(
      `the stack cannot be made of these properties (docs/cloud.md has them all):\n  ${wrong.join('\n  ')}`,
    );
  return props;
}

/** On the command line everything is text; cdk.json may have numbers and lists. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value ?? '').replace(/^""$/, '');
}

function fleetOf(read: <N extends Name>(name: N) => (typeof PROPERTIES)[N]['otherwise']): FleetProps | undefined {
  const fleet = {
    size: read('fleetSize'),
    instanceType: read('fleetType'),
    spot: read('fleetSpot'),
    package: read('fleetPackage'),
    mountPoint: read('fleetMount'),
    cacheGiB: read('fleetCache'),
  };
  return fleet.size > 0 ? fleet : undefined;
}

function contradictions({ fleet, vpc, functionsInVpc }: LeatProps): string[] {
  const found: string[] = [];
  if (fleet && vpc === undefined) found.push('a fleet runs in a VPC: give -c vpc=default, or -c vpc=vpc-…');
  if (functionsInVpc && vpc === undefined) found.push('functionsInVpc needs the VPC: give -c vpc=vpc-…');
  if (fleet?.package === '')
    found.push('a fleet installs leat: run `npm pack`, then give -c fleetPackage=leat-VERSION.tgz');
  return found;
}

/** A misspelt name would otherwise be the default, silently. The names that the CDK uses itself have a mark in them. */
function unknownNames(context: Sources['context']): string[] {
  return Object.keys(context)
    .filter((name) => /^[A-Za-z0-9_]+$/.test(name) && !Object.hasOwn(PROPERTIES, name))
    .map((name) => `${name} is not known; there are ${contextNames.join(', ')}`);
}
