import { describe, expect, it } from 'vitest';
import { mountOf, openNamespace, path, ROOT_USER as root } from '../../test/support/namespace.ts';
import { jobSender } from './job-sender.ts';
import { eachMessage } from './messages.ts';
import { type Job, runJob } from './run-job.ts';
import { changedObjects } from './store-notices.ts';
import { timesJob } from './times-job.ts';

const eventOf = (...bodies: unknown[]) => ({
  Records: bodies.map((body, i) => ({ messageId: `m${i}`, body: JSON.stringify(body) })),
});

describe('messages of a queue', () => {
  it('fail one by one, and say what they were', async () => {
    const told: string[] = [];
    const answer = await eachMessage(
      eventOf(1, 2, 3),
      (line) => told.push(line),
      async (body) => {
        if (body === 2) throw new Error('no two');
      },
    );
    expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'm1' }] });
    expect(told.map((line) => JSON.parse(line) as object)).toMatchObject([
      { messageId: 'm1', message: 'Error: no two' },
    ]);
  });

  it('of S3 name objects as they are', () => {
    const s3 = { bucket: { name: 'b' }, object: { key: 'a+b/c%2Bd%C3%A9' } };
    expect(changedObjects({ Records: [{ s3 }] })).toEqual(['s3://b/a b/c+dé']);
    expect(changedObjects({ Event: 's3:TestEvent' })).toEqual([]);
  });
});

it('a job that is sent behind is out before an answer, or told of', async () => {
  const [put, told]: [string[], string[]] = [[], []];
  const slowly = async (body: string) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (put.push(body) > 1) throw new Error('full');
  };
  const jobs = jobSender(slowly, (line) => told.push(line));
  jobs.sendBehind({ job: 'catchUp' });
  jobs.sendBehind({ job: 'sync', path: '/m' });
  await jobs.settled();
  expect(put).toEqual(['{"job":"catchUp"}', '{"job":"sync","path":"/m"}']);
  expect(told).toEqual([expect.stringMatching(/not sent/)]);
});

describe('a job', () => {
  async function open(isOver = false) {
    const opened = await openNamespace({ isShared: true });
    const sent: Job[] = [];
    const send = async (job: Job) => void sent.push(job);
    return { ...opened, sent, worker: { ...opened, isOver: () => isOver, send } };
  }

  it('takes away what is in the trash', async () => {
    const { namespace, metastore, worker, advance, sent } = await open();
    await namespace.mkdir(root, path('/d/e'), { mode: 0o755, parents: true });
    const { inode } = await namespace.stat(root, path('/d'));
    await namespace.removeTree(root, path('/d'));
    advance(60_000);
    await runJob(worker, { job: 'catchUp' });
    expect(await metastore.list(inode.id, { limit: 9 })).toEqual([]);
    expect(sent).toEqual([]);
  });

  it('is sent on when its time is over', async () => {
    const { namespace, worker, advance, sent } = await open(true);
    await namespace.mkdir(root, path('/d'), { mode: 0o755 });
    await namespace.removeTree(root, path('/d'));
    advance(60_000);
    await runJob(worker, { job: 'catchUp' });
    expect(sent).toEqual([{ job: 'catchUp' }]);
  });

  it('lists what a store has', async () => {
    const { namespace, worker, names } = await open();
    await namespace.mount(root, mountOf('/m'));
    await runJob(worker, { job: 'sync', path: '/m' });
    expect(await names('/')).toEqual(['m/']);
  });

  it('writes the times of directories whose entries came or went', async () => {
    const { namespace, metastore, worker } = await open();
    const { id } = await namespace.mkdir(root, path('/d'), { mode: 0o755 });
    const at = Date.now() + 5000;
    await runJob({ ...worker, metastore }, JSON.parse(timesJob([[id, at]])));
    expect((await namespace.stat(root, path('/d'))).inode.mtime).toBe(BigInt(at) * 1_000_000n);
  });

  it('of an unknown kind is refused', async () => {
    const { worker } = await open();
    await expect(runJob(worker, { job: 'dance' })).rejects.toThrow(/job/);
  });
});
