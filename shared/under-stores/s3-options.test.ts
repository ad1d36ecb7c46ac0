import { describe, expect, it } from 'vitest';
import { openUnderStore } from './open.ts';
import { parseS3Uri, S3_OPTIONS, S3Options } from './s3-options.ts';

describe('options of a store', () => {
  it('are refused when there are none of that name, with those that there are', () => {
    const open = (uri: string, name: string) => () => openUnderStore({ uri, options: { [name]: 'x' } });
    expect(open('s3://b', 's3.endpont')).toThrow(
      /^s3\.endpont: no such option; there are .*s3\.endpoint, .*mode\.file/,
    );
    expect(open('s3://b', 'endpoint')).toThrow(/no such option/);
    expect(open('file:///tmp', 's3.endpoint')).toThrow(/^s3\.endpoint: no such option; there are mode\.file/);
    expect(open('gopher://b', 'x')).toThrow(/s3:\/\/BUCKET\/PREFIX or file:/);
  });

  it.each([
    ['s3.endpoint', 'localhost:9000'],
    ['s3.endpoint', 'http://user:password@host'],
    ['s3.region', 'EU Central'],
    ['s3.path-style', 'yes'],
    ['s3.anonymous', '1'],
    ['s3.requester-pays', 'TRUE'],
    ['s3.sse', 'aes256'],
    ['s3.connections', '0'],
    ['s3.request-timeout', '5s'],
    ['s3.attributes', 'all'],
  ])('are refused when their value is not understood: %s=%s', (name, value) => {
    expect(() => new S3Options({ [name]: value })).toThrow(new RegExp(`^${name}=.*: .{10,}`));
  });

  it.each([
    [{ 's3.access-key-id': 'k' }, /give both/],
    [{ 's3.access-key-id': 'k', 's3.secret-access-key': 's', 's3.profile': 'p' }, /give one of them/],
    [{ 's3.anonymous': 'true', 's3.profile': 'p' }, /give one of them/],
    [{ 's3.sse-kms-key-id': 'k', 's3.sse': 'AES256' }, /aws:kms too/],
  ])('are refused when they contradict each other: %j', (options, message) => {
    expect(() => new S3Options(options)).toThrow(message);
  });

  it('have defaults, and an empty one is as if not given', () => {
    const options = new S3Options({ 's3.connections': '', 's3.endpoint': 'https://[::1]:9000/' });
    expect(options.number('s3.connections')).toBe(64);
    expect(options.text('s3.endpoint')).toBe('https://[::1]:9000/');
    expect(options.text('s3.profile')).toBeUndefined();
    expect(options.flag('s3.anonymous')).toBe(false);
    for (const { help } of Object.values(S3_OPTIONS)) expect(help).toMatch(/\.$/);
  });
});

describe('parseS3Uri', () => {
  it.each([
    ['s3://b', 'b', ''],
    ['s3://b/', 'b', ''],
    ['s3a://b/p/q/', 'b', 'p/q'],
    ['s3://b/with space/ü', 'b', 'with space/ü'],
  ])('takes %s apart', (uri, bucket, prefix) => {
    expect(parseS3Uri(uri)).toEqual({ bucket, prefix });
  });

  it.each(['s3://', 's3:b', 'http://b', 's3:///p'])('refuses %s', (uri) => {
    expect(() => parseS3Uri(uri)).toThrow(/is written s3:/);
  });
});
