import { existsSync } from 'node:fs';
import { Stack } from 'aws-cdk-lib';
import {
  AutoScalingGroup,
  GroupMetrics,
  OnDemandAllocationStrategy,
  SpotAllocationStrategy,
  UpdatePolicy,
} from 'aws-cdk-lib/aws-autoscaling';
import {
  AmazonLinuxCpuType,
  BlockDeviceVolume,
  EbsDeviceVolumeType,
  InstanceType,
  type IVpc,
  LaunchTemplate,
  MachineImage,
  SecurityGroup,
  UserData,
} from 'aws-cdk-lib/aws-ec2';
import { type IManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import { except } from './exceptions.ts';
import type { FleetProps, LeatProps } from './props.ts';

export interface Fleet {
  readonly fleet: FleetProps;
  readonly leat: LeatProps;
  readonly vpc: IVpc;
  readonly url: string;
  readonly policy: IManagedPolicy;
}

/** Instances that install Leat, join and mount the namespace. They hold a cache only: any of them may go at any time. */
export function agentFleet(scope: Construct, { fleet, leat, vpc, url, policy }: Fleet): void {
  const role = new Role(scope, 'FleetRole', {
    assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
    description: `Leat ${leat.name}: what instances of the fleet may do`,
    managedPolicies: [policy],
  });
  const template = new LaunchTemplate(scope, 'FleetTemplate', {
    role,
    userData: UserData.custom(userData(scope, { fleet, leat, url, role })),
    instanceType: new InstanceType(fleet.instanceType),
    machineImage: MachineImage.latestAmazonLinux2023({
      cpuType: leat.architecture === 'arm64' ? AmazonLinuxCpuType.ARM_64 : AmazonLinuxCpuType.X86_64,
    }),
    securityGroup: new SecurityGroup(scope, 'FleetGroup', {
      vpc,
      description: `Leat ${leat.name}: the fleet calls out, nobody calls in`,
    }),
    requireImdsv2: true,
    detailedMonitoring: true,
    blockDevices: [
      {
        deviceName: '/dev/xvda',
        volume: BlockDeviceVolume.ebs(fleet.cacheGiB, { encrypted: true, volumeType: EbsDeviceVolumeType.GP3 }),
      },
    ],
  });
  const group = new AutoScalingGroup(scope, 'Fleet', {
    vpc,
    minCapacity: fleet.size,
    maxCapacity: fleet.size,
    mixedInstancesPolicy: {
      launchTemplate: template,
      instancesDistribution: {
        onDemandPercentageAboveBaseCapacity: fleet.spot ? 0 : 100,
        onDemandAllocationStrategy: OnDemandAllocationStrategy.LOWEST_PRICE,
        spotAllocationStrategy: SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
      },
    },
    // A spot instance that is about to be taken is replaced before it goes.
    capacityRebalance: fleet.spot,
    groupMetrics: [GroupMetrics.all()],
    updatePolicy: UpdatePolicy.rollingUpdate(),
  });
  except(
    group,
    'EC26',
    'The launch template encrypts the volume; cdk-nag does not look for it in a policy of mixed instances.',
  );
  except(group, 'AS3', 'Instances hold a cache: they come and go, and the leases of agents tell who is there.');
}

/** Amazon Linux names its Node 24 `node-24`, beside whichever else is there. */
function userData(
  scope: Construct,
  { fleet, leat, url, role }: Omit<Fleet, 'vpc' | 'policy'> & { role: Role },
): string {
  const { fetch, spec } = packageOf(scope, fleet.package, role);
  return `#!/bin/bash
set -euo pipefail
dnf install -y nodejs24 nodejs24-npm fuse3
${fetch}
npm-24 install --global --prefix /opt/leat '${spec}'
install -d ${fleet.mountPoint} /var/lib/leat
cat >/etc/systemd/system/leat.service <<'UNIT'
[Unit]
Description=Leat, agent of ${leat.name}
Wants=network-online.target
After=network-online.target

[Service]
Environment=AWS_REGION=${Stack.of(scope).region}
ExecStart=/usr/bin/node-24 /opt/leat/lib/node_modules/leat/dist/leat.js up --join ${url} --at ${fleet.mountPoint} --data /var/lib/leat
Restart=always
RestartSec=5
TimeoutStopSec=90
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now leat
`;
}

/** A file that is there goes along as an asset of the stack; anything else is for npm to find. */
function packageOf(scope: Construct, name: string, role: Role): { fetch: string; spec: string } {
  if (!name.endsWith('.tgz')) return { fetch: '', spec: name };
  if (!existsSync(name))
    throw new Error(
      `fleetPackage is ${name}, which is not there: make it by \`npm pack\`, or name a package that npm finds`,
    );
  const asset = new Asset(scope, 'FleetPackage', { path: name });
  asset.grantRead(role);
  const region = Stack.of(scope).region;
  return {
    fetch: `aws s3 cp --region ${region} ${asset.s3ObjectUrl} /opt/leat.tgz`,
    spec: '/opt/leat.tgz',
  };
}
