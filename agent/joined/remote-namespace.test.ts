import { describe, expect, it } from 'vitest';
import { LeatError } from '#shared/model/faults.ts';
import type { Inode } from '#shared/model/inode.ts';
import type { Path } from '#shared/model/names.ts';
import type { Actor, Namespace } from '#shared/namespace/namespace.ts';
import { FILE } from '../../test/support/api.ts';
import { openNamespace, path, refused, ROOT_USER } from '../../test/support/namespace.ts';
import { callingOf, losing, remoteOver } from '../../test/support/remote.ts';
import { remoteNamespace } from './remote-namespace.ts';

function recorded() {
  const actors: Actor[] = [];
  const create = async (actor: Actor): Promise<Inode> => {
    actors.push(actor);
    return FILE;
  };
  return { actors, namespace: { create } as unknown as Namespace };
}

describe('a mutation', () => {
  it('is sent again with its token when the answer is lost, and says so', async () => {
    const { actors, namespace } = recorded();
    const remote = remoteOver(
      namespace,
      losing((count) => count < 3),
    );
    expect(await remote.create(ROOT_USER, path('/a'), { mode: 0o644 })).toEqual(FILE);
    const requests = actors.map(({ request }) => request);
    expect(requests.map((request) => request?.isRetry)).toEqual([false, true, true]);
    expect(new Set(requests.map((request) => request?.token)).size).toBe(1);
    await remote.create(ROOT_USER, path('/b'), { mode: 0o644 });
    expect(actors.at(-1)?.request).not.toEqual(requests[0]);
  });

  it('keeps the token that its caller gave it', async () => {
    const { actors, namespace } = recorded();
    const request = { token: 'mine', isRetry: true };
    await remoteOver(namespace).create({ ...ROOT_USER, request }, path('/a'), { mode: 0o644 });
    expect(actors[0]?.request).toMatchObject(request);
  });

  it('is not made once its caller may have sent it again', async () => {
    const { namespace, names } = await openNamespace();
    const long = Date.now() - 60_000;
    const late = remoteNamespace({ ...callingOf(namespace, { clock: () => long }), newToken: () => 'late' });
    await refused('unavailable', late.mkdir(ROOT_USER, path('/d'), { mode: 0o755 }));
    expect(await names()).toEqual([]);
  });
});

describe('an answer that does not come', () => {
  it('is given up in the end', async () => {
    const { actors, namespace } = recorded();
    const remote = remoteOver(
      namespace,
      losing(() => true),
    );
    await refused('unavailable', remote.create(ROOT_USER, path('/a'), { mode: 0o644 }));
    expect(actors).toHaveLength(6);
  });

  it.each([
    [429, '{"Reason":"ConcurrentInvocationLimitExceeded"}'],
    [502, '{"message":"Internal server error"}'],
    [200, '<html>'],
  ])('is asked for again when somebody before the API answers %d %s', async (status, body) => {
    const { namespace } = recorded();
    const answers = [new Response(body, { status })];
    const remote = remoteOver(namespace, (fetch) => async (request) => answers.pop() ?? fetch(request));
    expect(await remote.create(ROOT_USER, path('/a'), { mode: 0o644 })).toEqual(FILE);
  });

  it('is not asked for again where the caller may not ask', async () => {
    let asked = 0;
    const remote = remoteOver({} as Namespace, () => async () => {
      asked++;
      return new Response('{"Message":"Forbidden"}', { status: 403 });
    });
    await expect(remote.stat(ROOT_USER, path('/a'))).rejects.toMatchObject({
      kind: 'denied',
      message: /InvokeFunctionUrl/,
    });
    expect(asked).toBe(1);
  });
});

it('is told failures as the kinds they are, at once', async () => {
  let asked = 0;
  const stat = async (_: Actor, at: Path) => {
    asked++;
    throw new LeatError('unavailable', `${at}: its store is down`);
  };
  const answer = remoteOver({ stat } as unknown as Namespace).stat(ROOT_USER, path('/a'));
  await expect(answer).rejects.toMatchObject({ kind: 'unavailable', message: '/a: its store is down' });
  expect(asked).toBe(1);
});
