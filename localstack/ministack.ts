import { spawnSync } from 'node:child_process';
import { installed } from './installed.ts';

const VERSION = '1.5.33';
const PYTHON = 'python3';
const IS_NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 10))';

/** The program of the local cloud, in a Python environment of its own; undefined where there is no Python from 3.10 on. */
export function ensureMinistack(): string | undefined {
  const folder = installed(`ministack-${VERSION}`, (venv) => {
    if (spawnSync(PYTHON, ['-c', IS_NEW_ENOUGH]).status !== 0) throw new Error('it needs Python, from 3.10 on');
    demandDone(PYTHON, ['-m', 'venv', venv]);
    demandDone(`${venv}bin/pip`, ['install', '--quiet', '--disable-pip-version-check', `ministack==${VERSION}`]);
  });
  return folder && `${folder}bin/ministack`;
}

function demandDone(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.slice(-500)}`);
}
