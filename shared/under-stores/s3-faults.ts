import { S3ServiceException } from '@aws-sdk/client-s3';
import { isFault, LeatError } from '../model/faults.ts';

/** What the SDK throws, as a fault that says what to do. `what` names bucket, key and act. */
export function s3Fault(error: unknown, what: string): LeatError {
  if (isFault(error)) return error;
  const status = error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0;
  const name = error instanceof Error ? error.name : '';
  const fault = (kind: LeatError['kind'], hint: string) => new LeatError(kind, `${what}: ${hint}`, { cause: error });
  if (name === 'NoSuchBucket') return fault('unavailable', 'there is no such bucket; check its name and region');
  if (name === 'AbortError') return fault('interrupted', 'was interrupted');
  if (status === 404 || name === 'NoSuchKey' || name === 'NotFound') return fault('notFound', 'no such object');
  if (status === 412) return fault('changed', 'the object is another version now');
  if (status === 401 || status === 403)
    return fault('denied', `refused (${name}); check the credentials and the bucket's policy`);
  if (name === 'CredentialsProviderError')
    return fault('denied', 'no credentials were found; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or s3.anonymous=true');
  if (status === 501) return fault('unsupported', 'the server cannot do that');
  if (status === 400)
    return fault('invalid', `the server refused the request (${name}: ${error instanceof Error ? error.message : ''})`);
  return fault(
    'unavailable',
    `the store did not answer (${name || String(error)}); tried again until it was time to give up`,
  );
}

export const isAbsent = (error: unknown): boolean =>
  error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404 && error.name !== 'NoSuchBucket';
