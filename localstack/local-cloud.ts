import { mkdir, rm } from 'node:fs/promises';
import { assembly } from './assembly.ts';
import { deploy, type Deployment } from './deployment.ts';
import { environmentOf } from './environment.ts';
import { type EngineOptions, startMinistack, stopEngine } from './engine.ts';

/** The whole control plane on this machine, for tests: the real stack on a cloud of their own. */
export interface LocalCloud extends Deployment {
  readonly pid: number;
  readonly endpoint: string;
  /** What an agent, the SDK or the CLI of AWS needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends the engine and its functions, and removes what they left in `dir`. */
  stop(): Promise<void>;
}

export async function startLocalCloud({ dir, ...options }: EngineOptions): Promise<LocalCloud> {
  const made = await assembly();
  await mkdir(dir, { recursive: true });
  const { pid, endpoint } = await startMinistack({ dir, ...options });
  const stop = async () => {
    await stopEngine(pid);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const deployment = await deploy(made, { endpoint, engine: 'ministack', scratch: dir });
    return { ...deployment, pid, endpoint, env: environmentOf(endpoint), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
