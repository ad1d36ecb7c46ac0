// A cloud on this machine, with the real stack on it: `npm run cloud:up`. Run again, it deploys what has changed.
import { LeatError } from '#shared/model/faults.ts';
import { assembly } from './assembly.ts';
import { deploy } from './deployment.ts';
import { environmentOf } from './environment.ts';
import { hasDockerEngine, startLocalStack } from './docker.ts';
import { isAnswering, startMinistack } from './engine.ts';
import { failing, portAsked } from './program.ts';
import { CLOUD_DIR, readState, type State, writeState } from './state.ts';

await failing(async () => {
  const made = await said('the stack', assembly());
  const state = await said('the engine', running());
  const isCurrent = state.deployed?.digest === made.digest;
  if (!isCurrent) {
    const { url } = await said('deploying', deploy(made, { ...state, scratch: CLOUD_DIR }));
    state.deployed = { url, digest: made.digest };
    writeState(state);
  }
  console.log(`\n${state.engine} at ${state.endpoint}, the stack on it. What joins needs this environment:\n`);
  for (const [name, value] of Object.entries(environmentOf(state.endpoint))) console.log(`  export ${name}=${value}`);
  console.log(`  unset AWS_CA_BUNDLE AWS_PROFILE\n\n  npm start -- --join ${state.deployed?.url}\n`);
  console.log('For a second agent give it --at and --data of its own. `npm run cloud:down` removes all of it.');
});

/** The engine of last time if it still answers, else a new one. It is written down before it starts: an interrupted start is ended by `cloud:down`, too. */
async function running(): Promise<State> {
  const last = readState();
  if (last && (await isAnswering(last.endpoint))) return last;
  const port = portAsked();
  const state: State = { engine: engineAsked(), port, endpoint: `http://127.0.0.1:${port}` };
  writeState(state);
  if (state.engine === 'localstack') startLocalStack(port);
  else await startMinistack({ dir: CLOUD_DIR, port });
  return state;
}

function engineAsked(): State['engine'] {
  const asked = process.env['LEAT_CLOUD_ENGINE'] ?? (hasDockerEngine() ? 'localstack' : 'ministack');
  if (asked === 'localstack' || asked === 'ministack') return asked;
  throw new LeatError('invalid', `LEAT_CLOUD_ENGINE is ${asked}; it can be localstack or ministack`);
}

async function said<Result>(what: string, result: Promise<Result>): Promise<Result> {
  process.stdout.write(`${what} … `);
  const since = Date.now();
  const done = await result;
  console.log(`${((Date.now() - since) / 1000).toFixed(1)} s`);
  return done;
}
