import { isFault, LeatError } from '#shared/model/faults.ts';

/** The port that LocalStack has everywhere. */
const PORT_DEFAULT = 4566;
const PORT_MAX = 65_535;

/** Failures of the world are for people, who need no stack trace; others are bugs. */
export async function failing(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!isFault(error)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}

export function portAsked(): number {
  const text = process.env['LEAT_CLOUD_PORT'];
  const port = Number(text ?? PORT_DEFAULT);
  if (Number.isInteger(port) && port > 0 && port <= PORT_MAX) return port;
  throw new LeatError('invalid', `LEAT_CLOUD_PORT is ${text}, which is no port`);
}
