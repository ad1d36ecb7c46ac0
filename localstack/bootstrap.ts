import aws4 from 'aws4';
import { LeatError } from '#shared/model/faults.ts';
import { ACCOUNT, environmentOf, REGION } from './environment.ts';

/** The CDK's own mark for environments that nobody gave another. */
const QUALIFIER = 'hnb659fds';
/** What `cdk bootstrap` of our CLI writes; the CLI refuses an older one than it wants. */
const VERSION = '30';

/**
 * What `cdk deploy` wants of an account, without the roles of `cdk bootstrap`: ministack lets nobody publish with them when it
 * enforces policies (it does not know `aws:ResourceAccount`), and without them the CLI uses our own credentials. It saves a second, too.
 */
export async function bareBootstrap(endpoint: string): Promise<void> {
  await ask(endpoint, {
    service: 's3',
    method: 'PUT',
    path: `/cdk-${QUALIFIER}-assets-${ACCOUNT}-${REGION}`,
    body: '',
  });
  await ask(endpoint, {
    service: 'ssm',
    method: 'POST',
    path: '/',
    body: JSON.stringify({
      Name: `/cdk-bootstrap/${QUALIFIER}/version`,
      Value: VERSION,
      Type: 'String',
      Overwrite: true,
    }),
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AmazonSSM.PutParameter' },
  });
}

interface Asked {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(endpoint: string, { headers = {}, ...request }: Asked): Promise<void> {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environmentOf(endpoint);
  const unsigned = { ...request, host: new URL(endpoint).host, region: REGION, headers: { ...headers } };
  const { headers: signed } = aws4.sign(unsigned, { accessKeyId, secretAccessKey });
  const answer = await fetch(endpoint + request.path, {
    method: request.method,
    headers: signed as Record<string, string>,
    ...(request.body === '' ? {} : { body: request.body }),
  });
  // 409: the bucket is there, from the last time.
  if (answer.ok || answer.status === 409) return;
  const said = await answer.text();
  throw new LeatError('unavailable', `${request.service} at ${endpoint} answered ${answer.status}: ${said}`);
}
