// Ends the cloud of this checkout and removes all that it left, in whatever state it is: `npm run cloud:down`.
import { stopLocalStack } from './docker.ts';
import { pidOfEngine, stopEngine } from './engine.ts';
import { failing } from './program.ts';
import { CLOUD_DIR, readState, removeState } from './state.ts';

await failing(async () => {
  const state = readState();
  if (state?.engine === 'localstack') stopLocalStack(state.port);
  const pid = pidOfEngine(CLOUD_DIR);
  if (pid !== undefined) await stopEngine(pid);
  removeState();
  console.log(
    state ? `${state.engine} at ${state.endpoint} has ended; nothing of it is left` : 'no local cloud was up',
  );
});
