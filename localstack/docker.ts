import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { LeatError } from '#shared/model/faults.ts';

const COMPOSE = fileURLToPath(new URL('compose.yaml', import.meta.url));
const PROBE_TIMEOUT_MS = 10_000;
/** The image is pulled at the first start. */
const UP_TIMEOUT_MS = 900_000;

/** The client alone says nothing: what counts is an engine that answers, and compose. */
export function hasDockerEngine(): boolean {
  const answers = (args: readonly string[]) => spawnSync('docker', args, { timeout: PROBE_TIMEOUT_MS }).status === 0;
  return answers(['info']) && answers(['compose', 'version']);
}

export function startLocalStack(port: number): void {
  const { status, stderr, error } = compose(['up', '--detach', '--wait'], port);
  if (status !== 0) {
    throw new LeatError(
      'unavailable',
      `LocalStack did not start in Docker: ${error?.message ?? stderr}\nWithout Docker: LEAT_CLOUD_ENGINE=ministack npm run cloud:up`,
    );
  }
}

export function stopLocalStack(port: number): void {
  const { status, stderr, error } = compose(['down', '--volumes', '--remove-orphans'], port);
  if (status !== 0) {
    throw new LeatError(
      'unavailable',
      `LocalStack did not stop: ${error?.message ?? stderr}\nSee \`docker compose -f localstack/compose.yaml ps\`.`,
    );
  }
}

function compose(args: readonly string[], port: number) {
  return spawnSync('docker', ['compose', '--file', COMPOSE, ...args], {
    encoding: 'utf8',
    timeout: UP_TIMEOUT_MS,
    env: { ...process.env, LEAT_CLOUD_PORT: String(port) },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
}
