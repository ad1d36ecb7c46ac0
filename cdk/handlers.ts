import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ESBUILD = join(ROOT, 'node_modules', '.bin', 'esbuild');

export const HANDLERS = ['api', 'feed', 'jobs', 'events', 'sweep'] as const;
export type Handler = (typeof HANDLERS)[number];

/**
 * All handlers of `functions/handlers` as one asset: an entry for each, and parts that they share. `NodejsFunction` would put all
 * that a handler may ever import into one file of its own; here what it loads lazily is not even read until then, which takes a
 * fifth off a cold start, and one run of esbuild is quicker than five.
 */
export function handlersCode(): Code {
  return Code.fromAsset(ROOT, {
    // Of the bundle: the folder that it is made from has everything in it.
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Asked for by the type, and never used: the local one answers always.
      image: DockerImage.fromRegistry('none'),
      local: {
        tryBundle(outputDir) {
          execFileSync(ESBUILD, [...HANDLERS.map((name) => `functions/handlers/${name}.ts`), ...flagsFor(outputDir)], {
            cwd: ROOT,
            stdio: ['ignore', 'ignore', 'inherit'],
          });
          return true;
        },
      },
    },
  });
}

const flagsFor = (outputDir: string) => [
  `--outdir=${outputDir}`,
  '--out-extension:.js=.mjs',
  '--chunk-names=parts/[name]-[hash]',
  '--bundle',
  '--splitting',
  '--format=esm',
  '--platform=node',
  '--target=node24',
  '--main-fields=module,main',
  '--minify',
  // Errors show our lines; that costs 15 ms of a cold start of 100.
  '--sourcemap=linked',
  '--sources-content=false',
  // The SDK goes in, too: the parts that are used load in half the time of the runtime's own, and are the version that was tested.
  // CommonJS packages among them ask for Node's own modules by `require`.
  `--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);`,
  '--log-level=warning',
];
