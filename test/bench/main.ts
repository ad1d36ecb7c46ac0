/**
 * What the mount costs: every figure stands beside native files, or the bare reader, measured in the same round.
 *
 *     npm run bench -- [--rounds 3] [--small 10000] [--big-mib 1024] [--many 10000,100000] [--only NAME,…] [--driver libfuse]
 *         [--dir FOLDER]
 *
 * Needs root (to drop the kernel's caches) and Go (for an S3 server that costs little itself).
 */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startDaemon } from '../support/daemon.ts';
import { startS3Server } from '../support/s3-server.ts';
import setupVersitygw from '../support/versitygw.ts';
import { makeFixtures } from './fixtures.ts';
import { scenariosFor, type Stage } from './scenarios.ts';
import { median } from './measure.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    small: { type: 'string', default: '10000' },
    'big-mib': { type: 'string', default: '1024' },
    many: { type: 'string', default: '10000,100000' },
    only: { type: 'string' },
    driver: { type: 'string', default: 'auto' },
    dir: { type: 'string', default: '.cache/bench' },
  },
});

const dir = resolve(values.dir);
const many = values.many.split(',').map(Number);
const scenarios = scenariosFor(many).filter(
  ({ name }) => values.only?.split(',').some((part) => name.includes(part)) ?? true,
);
setupVersitygw();
const server = await startS3Server();
try {
  const fixtures = await makeFixtures(dir, server, {
    small: Number(values.small),
    smallBytes: 100 * 1024,
    bigBytes: Number(values['big-mib']) * 2 ** 20,
    many,
  });
  const stores = [
    `s3=s3://${fixtures.bucket}`,
    ...Object.entries(fixtures.many).map(([count, { folder }]) => `many-${count}=${folder}`),
  ];
  console.log(`S3 by ${server.engine}; ${values.rounds} rounds, medians\n`);
  console.log('| what | Leat | baseline | ratio | daemon |\n|---|---|---|---|---|');
  for (const profile of ['general', 'training'] as const) {
    const data = join(dir, `data-${profile}`);
    rmSync(data, { recursive: true, force: true });
    const daemon = await startDaemon({
      stores,
      at: join(dir, `mnt-${profile}`),
      data,
      set: { 'fuse.profile': profile, 'fuse.driver': values.driver },
      args: ['--option', `s3.endpoint=${server.endpoint}`],
      env: server.env,
    });
    try {
      const stage: Stage = { daemon, data, fixtures, env: { ...server.env, LEAT_BENCH_ENDPOINT: server.endpoint } };
      for (const scenario of scenarios.filter((one) => (one.profile ?? 'general') === profile)) {
        const rounds = [];
        for (let round = 0; round < Number(values.rounds); round++) rounds.push(await scenario.round(stage));
        const ratio = median(rounds.map(({ ours, baseline }) => ours / baseline));
        const [ours, baseline] = [median(rounds.map((one) => one.ours)), median(rounds.map((one) => one.baseline))];
        const side = rounds.toSorted((a, b) => a.ours - b.ours)[Math.floor(rounds.length / 2)]?.side ?? '';
        console.log(
          `| ${scenario.name} | ${number(ours)} ${scenario.unit} | ${number(baseline)} ${scenario.unit} | ${ratio.toFixed(2)} | ${side} |`,
        );
      }
      await daemon.stop();
    } finally {
      await daemon.kill();
    }
  }
} finally {
  await server.stop();
}

function number(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
