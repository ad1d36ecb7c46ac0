import { describe, expect, it } from 'vitest';
import { cliOn } from '../support/cli.ts';

const leat = cliOn('/nonexistent/data');

describe('leat cost', () => {
  it('prints a bill without an agent, and says where and when', async () => {
    const { code, stdout, stderr } = await leat('cost', '--files', '100M', '--mix', 'etl');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^\$ a month in us-east-1, prices of \d{4}-\d\d-\d\d: 100,000,000 files, 8 agents/);
    for (const line of ['DynamoDB reads', 'Lambda', 'SQS', 'in all', 'change feed', 'idle', 'EFS Standard']) {
      expect(stdout).toMatch(new RegExp(`^  ${line}.* [\\d,.]+`, 'm'));
    }
  });

  it('prints the same for programs', async () => {
    const { stdout } = await leat(
      'cost',
      '--files',
      '1B',
      '--ops',
      'stat=100/s,create=10/s',
      '--agents',
      '0',
      '--json',
    );
    expect(JSON.parse(stdout)).toMatchObject({
      region: 'us-east-1',
      load: { files: 1e9, mix: { stat: 100, create: 10 }, agents: 0 },
      totalUsd: expect.any(Number),
    });
  });

  it.each([
    ['--files lots', /--files: 'lots' is no number; write as/],
    ['--files 1.5', /--files: '1.5' is no whole number/],
    ['--files 2T', /--files: '2T' is more than/],
    ['--agents -1', /--agents/],
    ['--depth 1000', /--depth: '1000' is more than 90/],
    ['--ops stat', /--ops: 'stat': write operations as/],
    ['--ops fly=1', /--ops: 'fly' is no operation; there are stat,/],
    ['--mix party', /--mix: 'party' is no mix; there are training,/],
    ['--ops stat=1 --mix etl', /give --ops or --mix, not both/],
    ['now', /write `leat cost`/],
  ])('refuses `%s` with one line', async (words, reason) => {
    const { code, stdout, stderr } = await leat('cost', ...words.split(' '));
    expect(stderr).toMatch(reason);
    expect(stderr).toMatch(/^leat: [^\n]+\n$/);
    expect([code, stdout]).toEqual([2, '']);
  });
});
