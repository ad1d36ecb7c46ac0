import { LeatError } from '../model/faults.ts';

interface S3Option {
  readonly default: string;
  readonly help: string;
  /** What a value must look like; anything when absent. */
  readonly values?: RegExp;
}

const FLAG = /^(true|false)$/;
const COUNT = /^[1-9]\d{0,5}$/;
const MILLISECONDS = /^\d{1,9}$/;

/** The mount options of an S3 store, by name. */
export const S3_OPTIONS = {
  's3.endpoint': {
    default: '',
    help: 'URL of the server; default: AWS, or what AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL name.',
    values: /^(|https?:\/\/[^/?#@]+\/?)$/,
  },
  's3.region': {
    default: '',
    help: 'Region; default: what the AWS environment or profile names, else us-east-1.',
    values: /^[a-z0-9-]*$/,
  },
  's3.path-style': {
    default: '',
    help: 'true: the bucket is in the path; default: true with an endpoint, false on AWS.',
    values: /^(true|false|)$/,
  },
  's3.profile': { default: '', help: 'Profile of ~/.aws for credentials; default: the chain of the AWS SDK.' },
  's3.access-key-id': {
    default: '',
    help: 'Fixed credentials, with s3.secret-access-key; kept in the metastore, so prefer the chain.',
  },
  's3.secret-access-key': { default: '', help: 'See s3.access-key-id. Never printed.' },
  's3.session-token': { default: '', help: 'Of temporary fixed credentials. Never printed.' },
  's3.anonymous': { default: 'false', help: 'true: requests are not signed; for public buckets.', values: FLAG },
  's3.requester-pays': {
    default: 'false',
    help: 'true: you pay for requests to a requester-pays bucket.',
    values: FLAG,
  },
  's3.sse': {
    default: '',
    help: 'AES256, aws:kms or aws:kms:dsse: how the bucket encrypts what we write.',
    values: /^(|AES256|aws:kms|aws:kms:dsse)$/,
  },
  's3.sse-kms-key-id': { default: '', help: 'Key for aws:kms.' },
  's3.connections': { default: '64', help: 'Limit of the connections that read objects.', values: COUNT },
  's3.request-timeout': {
    default: '15000',
    help: 'Milliseconds without a byte after which a request is given up and tried again.',
    values: MILLISECONDS,
  },
  's3.busy-patience': {
    default: '30000',
    help: 'Milliseconds without progress for which a server that asks to slow down (503) is asked again.',
    values: MILLISECONDS,
  },
  's3.outage-patience': {
    default: '10000',
    help: 'Milliseconds without progress for which a server that cannot be reached is tried; then readers get EIO.',
    values: MILLISECONDS,
  },
  's3.attributes': {
    default: 'list',
    help: 'head: mode, owner and symlinks are read from each object (a request per file); list: they are not.',
    values: /^(head|list)$/,
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

/** The options as they were given, checked; an empty one counts as not given. */
export class S3Options {
  readonly #given: Readonly<Record<string, string>>;

  constructor(given: Readonly<Record<string, string>>) {
    this.#given = given;
    for (const [name, { values }] of Object.entries<S3Option>(S3_OPTIONS)) {
      const value = given[name];
      if (value === undefined || value === '' || !values || values.test(value)) continue;
      throw new LeatError('invalid', `${name}=${value}: ${S3_OPTIONS[name as S3OptionName].help}`);
    }
    this.#demandCredentials();
    if (this.text('s3.sse-kms-key-id') && !this.text('s3.sse')?.startsWith('aws:kms'))
      throw new LeatError('invalid', 's3.sse-kms-key-id: give s3.sse=aws:kms too');
  }

  text(name: S3OptionName): string | undefined {
    return this.#given[name] || S3_OPTIONS[name].default || undefined;
  }

  number(name: S3OptionName): number {
    return Number(this.text(name));
  }

  flag(name: S3OptionName): boolean {
    return this.text(name) === 'true';
  }

  #demandCredentials(): void {
    const isGiven = (name: S3OptionName) => this.text(name) !== undefined;
    if (isGiven('s3.access-key-id') !== isGiven('s3.secret-access-key'))
      throw new LeatError('invalid', 's3.access-key-id and s3.secret-access-key: give both, or neither');
    const given = (['s3.access-key-id', 's3.profile'] as const).filter(isGiven);
    const ways = this.flag('s3.anonymous') ? ['s3.anonymous', ...given] : given;
    if (ways.length > 1) throw new LeatError('invalid', `${ways.join(' and ')}: give one of them`);
  }
}
