import { describe, expect, it } from 'vitest';
import { LeatError } from '../model/faults.ts';
import { Attempts, RefusedAnswer, retried, troubleOf } from './retry.ts';

const coded = (code: string) => Object.assign(new Error(code), { code });
const answered = (httpStatusCode: number, name = 'X') =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });
const ours = (cause: Error) => new LeatError('unavailable', 'said by us', { cause });

describe('troubleOf', () => {
  it.each([
    ['busy', [answered(503, 'SlowDown'), answered(500), answered(429), answered(400, 'RequestTimeout')]],
    ['busy', [new RefusedAnswer(503, ''), ours(new RefusedAnswer(403, 'RequestTimeTooSkewed'))]],
    ['outage', [coded('ECONNREFUSED'), coded('EAI_AGAIN'), new AggregateError([coded('ECONNRESET')])]],
    ['outage', [ours(new Error('closed')), Object.assign(new Error('late'), { name: 'TimeoutError' })]],
    [undefined, [answered(403), answered(404), answered(412), answered(501), answered(400, 'InvalidArgument')]],
    [undefined, [coded('SELF_SIGNED_CERT_IN_CHAIN'), ours(coded('ERR_TLS_CERT_ALTNAME_INVALID'))]],
    [undefined, [new LeatError('changed', 'x'), new TypeError('a bug'), ours(new RefusedAnswer(404, 'NoSuchBucket'))]],
  ] as const)('is %s of what can and cannot be mended by waiting', (trouble, errors) => {
    expect(errors.map(troubleOf)).toEqual(errors.map(() => trouble));
  });
});

describe('Attempts', () => {
  it('tries at least twice, and is more patient with the busy than with the silent', async () => {
    const attempts = new Attempts({ busyMs: 60_000, outageMs: 0 });
    expect(await attempts.next('outage')).toBe(true);
    expect(await attempts.next('outage')).toBe(false);
    expect(await attempts.next('busy')).toBe(true);
    expect(attempts.count).toBe(3);
  });

  it('begins anew with every progress', async () => {
    const attempts = new Attempts({ busyMs: 0, outageMs: 0 });
    for (let round = 0; round < 5; round++) {
      attempts.progress();
      expect(await attempts.next('outage')).toBe(true);
    }
    expect(await attempts.next('outage')).toBe(false);
  });
});

describe('retried', () => {
  it('answers what succeeds at last, and throws what cannot be mended as it is', async () => {
    let tries = 0;
    const flaky = async () => {
      if (++tries < 3) throw coded('ECONNRESET');
      return tries;
    };
    expect(await retried({ busyMs: 0, outageMs: 60_000 }, flaky)).toBe(3);
    const broken = new TypeError('a bug');
    await expect(retried({ busyMs: 60_000, outageMs: 60_000 }, () => Promise.reject(broken))).rejects.toBe(broken);
  });
});
