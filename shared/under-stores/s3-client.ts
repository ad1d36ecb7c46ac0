import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import {
  S3Client,
  type S3ClientConfig,
  type UploadPartCommand,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import type { PartSource } from '../ports/under-store.ts';
import { trustedAuthorities } from './http-socket.ts';
import { type Patience, retried } from './retry.ts';
import { sendOnce } from './s3-body.ts';
import type { S3Options } from './s3-options.ts';

const CONNECT_MS_MAX = 5000;
/** Silence on a connection of a slow call. */
const SILENCE_MS_MAX = 120_000;
const NO_LIMIT = { requestTimeout: 0 };
/** AWS signs requests of clients without a region for this one. */
const DEFAULT_REGION = 'us-east-1';

/** It would warn on the console that it does not try a body in pieces again; what fails is thrown anyway. */
const silent = () => undefined;
const SILENT = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

export function patienceOf(options: S3Options): Patience {
  return { busyMs: options.number('s3.busy-patience'), outageMs: options.number('s3.outage-patience') };
}

/** The SDK's client for control calls. It tries once: `S3Calls` tries again, by the same rules as readers do. */
export function newS3Client(options: S3Options): S3Client {
  const endpoint = options.text('s3.endpoint') ?? process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
  const profile = options.text('s3.profile');
  const pathStyle = options.text('s3.path-style');
  return new S3Client({
    ...(endpoint && { endpoint }),
    region: options.text('s3.region') ?? (() => regionOf(profile)),
    ...(profile && { profile }),
    ...credentialsOf(options),
    requestHandler: requestHandler(options),
    forcePathStyle: pathStyle === undefined ? Boolean(endpoint) : pathStyle === 'true',
    maxAttempts: 1,
    logger: SILENT,
    // Servers other than AWS's refuse the checksums that the SDK would add by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

type Send = S3Client['send'];
type SendOptions = { readonly abortSignal?: AbortSignal } | undefined;

/** Calls of the SDK, tried again while that may help. */
export class S3Calls {
  /** As the client's own `send`, whose types know each command's answer. */
  readonly send: Send;
  /** For what may take its time: bodies on a slow line, copies that a server makes before it answers. */
  readonly sendSlow: Send;
  readonly #client: S3Client;
  readonly #patience: Patience;

  constructor(client: S3Client, patience: Patience) {
    this.#client = client;
    this.#patience = patience;
    const send = (command: never, options: SendOptions) =>
      retried(patience, () => client.send(command, options), options?.abortSignal);
    const sendSlow = (command: never, options: SendOptions) => send(command, { ...options, ...NO_LIMIT });
    this.send = send as Send;
    this.sendSlow = sendSlow as Send;
  }

  /** As `sendSlow`, of a body that is made anew for each try. Throws `StoppedBody` when its maker throws. */
  sendPieces(
    command: (body: Readable) => UploadPartCommand,
    source: PartSource,
    signal: AbortSignal | undefined,
  ): Promise<UploadPartCommandOutput> {
    const attempt = () =>
      sendOnce(source, signal, (body, abortSignal) => this.#client.send(command(body), { abortSignal, ...NO_LIMIT }));
    return retried(this.#patience, attempt, signal);
  }
}

/** What the environment or the profile names. */
async function regionOf(profile: string | undefined): Promise<string> {
  const probe = new S3Client(profile === undefined ? {} : { profile });
  try {
    return await probe.config.region();
  } catch {
    return DEFAULT_REGION;
  } finally {
    probe.destroy();
  }
}

function requestHandler(options: S3Options): NonNullable<S3ClientConfig['requestHandler']> {
  const timeoutMs = options.number('s3.request-timeout');
  const caFile = options.text('s3.ca-file');
  // Node's own agents go through the proxies that the environment names, when asked.
  const agent = { keepAlive: true, maxSockets: options.number('s3.connections'), proxyEnv: process.env };
  return {
    connectionTimeout: Math.min(CONNECT_MS_MAX, timeoutMs),
    socketTimeout: Math.max(SILENCE_MS_MAX, timeoutMs),
    requestTimeout: timeoutMs,
    throwOnRequestTimeout: true,
    httpAgent: new Agent(agent),
    httpsAgent: new TlsAgent({ ...agent, ...(caFile !== undefined && { ca: trustedAuthorities(caFile) }) }),
  };
}

function credentialsOf(options: S3Options): Pick<S3ClientConfig, 'credentials' | 'signer'> {
  if (options.flag('s3.anonymous'))
    return { signer: { sign: async (request) => request }, credentials: { accessKeyId: '', secretAccessKey: '' } };
  const accessKeyId = options.text('s3.access-key-id');
  if (accessKeyId === undefined) return {};
  const sessionToken = options.text('s3.session-token');
  const secretAccessKey = options.text('s3.secret-access-key') ?? '';
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) } };
}
