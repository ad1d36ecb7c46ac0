import { LeatError } from '../model/faults.ts';

interface S3Option {
  readonly default: string;
  readonly help: string;
}

/** The mount options of an S3 store, by name. */
export const S3_OPTIONS = {
  's3.endpoint': {
    default: '',
    help: 'URL of the server; default: AWS, or what AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL name.',
  },
  's3.region': { default: '', help: 'Region; default: what the AWS environment or profile names, else us-east-1.' },
  's3.path-style': {
    default: '',
    help: 'true: the bucket is in the path; default: true with an endpoint, false on AWS.',
  },
  's3.profile': { default: '', help: 'Profile of ~/.aws for credentials; default: the chain of the AWS SDK.' },
  's3.access-key-id': {
    default: '',
    help: 'Fixed credentials, with s3.secret-access-key; kept in the metastore, so prefer the chain.',
  },
  's3.secret-access-key': { default: '', help: 'See s3.access-key-id. Never printed.' },
  's3.session-token': { default: '', help: 'Of temporary fixed credentials. Never printed.' },
  's3.anonymous': { default: 'false', help: 'true: requests are not signed; for public buckets.' },
  's3.requester-pays': { default: 'false', help: 'true: you pay for requests to a requester-pays bucket.' },
  's3.sse': { default: '', help: 'AES256 or aws:kms: how the bucket encrypts what we write.' },
  's3.sse-kms-key-id': { default: '', help: 'Key for aws:kms.' },
  's3.connections': { default: '64', help: 'Limit of the connections that read objects.' },
  's3.request-timeout': {
    default: '30000',
    help: 'Milliseconds without a byte after which a request is given up and tried again.',
  },
  's3.attributes': {
    default: 'list',
    help: 'head: mode, owner and symlinks are read from each object (a request per file); list: they are not.',
  },
  's3.ca-file': { default: '', help: 'PEM file of the authority that signs the endpoint.' },
} as const satisfies Record<string, S3Option>;

export type S3OptionName = keyof typeof S3_OPTIONS;

export interface S3Location {
  readonly bucket: string;
  /** Without slashes at its ends; UTF-8 text. */
  readonly prefix: string;
}

export function parseS3Uri(uri: string): S3Location {
  const match = /^s3a?:\/\/([^/]+)(\/.*)?$/.exec(uri);
  if (!match?.[1]) throw new LeatError('invalid', `${uri}: an S3 store is written s3://BUCKET or s3://BUCKET/PREFIX`);
  return { bucket: match[1], prefix: (match[2] ?? '').replace(/^\/+|\/+$/g, '') };
}

export function s3Option(options: Readonly<Record<string, string>>, name: S3OptionName): string {
  return options[name] ?? S3_OPTIONS[name].default;
}

export function demandKnownOptions(options: Readonly<Record<string, string>>): void {
  const strange = Object.keys(options).find((name) => name.startsWith('s3.') && !(name in S3_OPTIONS));
  if (strange)
    throw new LeatError('invalid', `${strange}: no such option; there are ${Object.keys(S3_OPTIONS).join(', ')}`);
}
