import { S3ServiceException } from '@aws-sdk/client-s3';
import { isFault, LeatError } from '../model/faults.ts';
import { isCertificateRefused, socketCode } from './retry.ts';

/** What the SDK throws, as a fault that says what to do. `what` names bucket, key and act. */
export function s3Fault(error: unknown, what: string): LeatError {
  if (isFault(error)) return error;
  const status = error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0;
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  const fault = (kind: LeatError['kind'], hint: string) => new LeatError(kind, `${what}: ${hint}`, { cause: error });
  if (name === 'NoSuchBucket') return fault('unavailable', 'there is no such bucket; check its name and region');
  if (isDenial(status, name))
    return fault('denied', `refused (${name}); check the credentials and the bucket's policy`);
  if (name === 'AbortError') return fault('interrupted', 'was interrupted');
  if (name === 'NoSuchUpload')
    return fault(
      'contended',
      'the upload was aborted by somebody else, perhaps by a rule of the bucket; begin it anew',
    );
  if (status === 404 || name === 'NoSuchKey' || name === 'NotFound') return fault('notFound', 'no such object');
  if (status === 412) return fault('changed', 'the object is another version now');
  if (status === 409) return fault('contended', `another change of it is under way (${name}: ${message})`);
  if (name === 'CredentialsProviderError')
    return fault('denied', 'no credentials were found; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or s3.anonymous=true');
  if (status === 301 || name === 'AuthorizationHeaderMalformed')
    return fault('invalid', wrongRegion((error as S3ServiceException).$response?.headers['x-amz-bucket-region']));
  if (status === 501 || status === 405) return fault('unsupported', 'the server cannot do that');
  if (status >= 400 && status < 500 && status !== 429)
    return fault('invalid', `the server refused the request (${name}: ${message})`);
  return fault('unavailable', unreachable(error));
}

/** Not every server says 403 to keys that it does not know; versitygw says 404, as if the object were absent. */
export function isDenial(status: number, code: string): boolean {
  return (
    status === 401 || status === 403 || /^(InvalidAccessKeyId|ExpiredToken|InvalidToken|XAdminUserNotFound)$/.test(code)
  );
}

/** The server has answered that it will not do it; otherwise it may have done it, or do it yet. */
export const isRefused = (error: unknown): boolean =>
  error instanceof S3ServiceException && (error.$metadata.httpStatusCode ?? 500) < 500;

export const isAbsent = (error: unknown): boolean =>
  error instanceof S3ServiceException && (error.name === 'NotFound' || error.name === 'NoSuchKey');

export const wrongRegion = (region: string | undefined): string =>
  `the bucket lies in another region; set s3.region${region === undefined ? '' : `=${region}`}`;

function unreachable(error: unknown): string {
  const code = socketCode(error);
  if (isCertificateRefused(error))
    return `its certificate is not trusted (${code}); name the authority that signed it with s3.ca-file`;
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  return `the store did not answer (${code ?? (message || name)}); tried again until it was time to give up`;
}
