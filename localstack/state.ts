import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ROOT } from './cdk.ts';

/** What `cloud:up` started, for the next `cloud:up` and for `cloud:down`; of no use to anybody else. */
export const CLOUD_DIR = process.env['LEAT_CLOUD_DIR'] ?? join(ROOT, '.leat-cloud');
const FILE = join(CLOUD_DIR, 'state.json');

const State = z.object({
  engine: z.enum(['ministack', 'localstack']),
  port: z.number().int(),
  endpoint: z.string(),
  /** Absent until the stack is deployed: who is interrupted before that leaves an engine to be ended, or used. */
  deployed: z.object({ url: z.string(), digest: z.string() }).optional(),
});

export type State = z.infer<typeof State>;

/** What is there but cannot be read counts as nothing: it is written anew. */
export function readState(): State | undefined {
  try {
    return State.parse(JSON.parse(readFileSync(FILE, 'utf8')));
  } catch {
    return undefined;
  }
}

export function writeState(state: State): void {
  mkdirSync(CLOUD_DIR, { recursive: true });
  writeFileSync(`${FILE}.new`, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(`${FILE}.new`, FILE);
}

export function removeState(): void {
  rmSync(CLOUD_DIR, { recursive: true, force: true });
}
