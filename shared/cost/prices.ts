/** What one unit costs, and who says so. */
export interface Price {
  readonly usd: number;
  readonly unit: string;
  /** Where the figure was read; a page of AWS itself only where that is named. */
  readonly source: string;
  /** Of the source: year, month. */
  readonly dated: string;
  /** False: written down from memory, and found in no source. */
  readonly isVerified: boolean;
}

export const REGION = 'us-east-1';
/** When the table below was put together. */
export const PRICES_DATED = '2026-11-25';

const MEMORY = 'from memory, not verified';
const price = (usd: number, unit: string, source: string, dated: string): Price => ({
  usd,
  unit,
  source,
  dated,
  isVerified: true,
});
const remembered = (usd: number, unit: string): Price => ({ usd, unit, source: MEMORY, dated: '', isVerified: false });

const DYNAMODB = 'airbyte.com, DynamoDB pricing';
const LAMBDA = 'cloudchipr.com, AWS Lambda pricing';
const CLOUDWATCH = 'factualminds.com and signoz.io, CloudWatch pricing';

/** On demand, without commitments and without the free tiers of new accounts. */
export const PRICES = {
  writeUnit: price(0.625e-6, 'write request unit', DYNAMODB, '2025-07'),
  readUnit: price(0.125e-6, 'read request unit', DYNAMODB, '2025-07'),
  tableGb: price(0.25, 'GB-month of table, over 25 GB', 'aws.amazon.com/dynamodb/pricing, an older copy', ''),
  recoveryGb: remembered(0.2, 'GB-month of point-in-time recovery'),
  call: price(0.2e-6, 'Lambda request', 'a notebook on Lambda pricing (git.mcrn.ar)', ''),
  gbSecond: price(0.0000133334, 'GB-second of Lambda, arm64', LAMBDA, '2024'),
  message: price(0.4e-6, 'SQS request of 64 KB', 'cloudburn.io, Amazon SQS pricing', '2026-03'),
  logGb: price(0.5, 'GB of logs taken in', CLOUDWATCH, '2026-06'),
  metric: price(0.3, 'custom metric, a month', CLOUDWATCH, '2026-02'),
  alarm: remembered(0.1, 'alarm, a month'),
  s3Gb: price(0.023, 'GB-month of S3 Standard', 'computingforgeeks.com, S3 Files pricing', '2026-04'),
  efsGb: price(0.3, 'GB-month of EFS Standard', 'factualminds.com, Amazon EFS pricing', '2026-06'),
  efsReadGb: price(0.03, 'GB read, elastic throughput', 'factualminds.com, Amazon EFS pricing', '2026-06'),
  efsWriteGb: price(0.06, 'GB written, elastic throughput', 'factualminds.com, Amazon EFS pricing', '2026-06'),
  s3FilesGb: remembered(0.3, 'GB-month of S3 Files, active data'),
  s3FilesReadGb: remembered(0.03, 'GB read from the active data'),
  s3FilesWriteGb: remembered(0.06, 'GB written to the active data'),
  lustreGb: price(0.145, 'GB-month of FSx for Lustre, SSD, 125 MB/s per TiB', 'c3x.dev, FSx for Lustre', ''),
  masterHour: remembered(1.008, 'hour of r5.4xlarge, Linux'),
  diskGb: price(0.08, 'GB-month of EBS gp3', 'saisci.com, gp3 throughput explained', '2021-01'),
} as const satisfies Record<string, Price>;

/** What AWS does not charge for, in every account and for ever. */
export const FREE_TABLE_GB = 25;
