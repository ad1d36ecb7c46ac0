import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const VERSION = 'v1.8.0';
const FOLDER = new URL(`../../.cache/versitygw-${VERSION}/`, import.meta.url).pathname;
const BINARY = `${FOLDER}versitygw`;

/** The S3 server that benches measure against; undefined where it has not been built. */
export function versitygw(): string | undefined {
  return existsSync(BINARY) ? BINARY : undefined;
}

/** Run once before all tests. Where there is a Go toolchain it builds the server from the Go module proxy, in some minutes. */
export default function setup(): void {
  if (versitygw() || spawnSync('go', ['version']).status !== 0) return;
  console.log(`building versitygw ${VERSION}, once, for the tests that want a second S3 server …`);
  const built = spawnSync('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], {
    env: { ...process.env, GOBIN: FOLDER },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (built.status !== 0)
    console.log(`it could not be built, those tests run on s3rver alone: ${built.stderr.toString().slice(-500)}`);
}
