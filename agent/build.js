// Bundles the command line into dist/, because Node runs no TypeScript below node_modules: `npm run build`.
import { chmodSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');

rmSync(DIST, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: {
    cli: 'agent/cli/main.ts',
    supervisor: 'agent/supervisor/main.ts',
    'fuse-worker': 'agent/fuse/worker.ts',
  },
  outdir: DIST,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  mainFields: ['module', 'main'],
  // They bring native code, which npm installs beside us.
  external: ['koffi', 'lmdb'],
  // CommonJS packages in the bundle ask for Node's own modules by `require`.
  banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
  metafile: true,
  logLevel: 'warning',
});

// Stays as it is but for what it starts, so that any Node can read it.
writeFileSync(
  join(DIST, 'leat.js'),
  readFileSync(join(import.meta.dirname, 'leat.js'), 'utf8')
    .replace('./cli/main.ts', './cli.js')
    .replace('./supervisor/main.ts', './supervisor.js'),
);
chmodSync(join(DIST, 'leat.js'), 0o755);
writeFileSync(join(DIST, 'LICENSES.txt'), licenses(packagesIn(Object.keys(metafile.inputs))));

/** @param {string[]} inputs */
function packagesIn(inputs) {
  const folders = inputs.map((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]);
  return [...new Set(folders)].filter((folder) => folder !== undefined).toSorted();
}

/**
 * The licences of what is bundled ask to be handed on with it.
 * @param {string[]} folders
 */
function licenses(folders) {
  return folders
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
      const files = readdirSync(join(ROOT, folder)).filter((file) => /^licen[cs]e/i.test(file));
      const texts = files.map((file) => readFileSync(join(ROOT, folder, file), 'utf8').trim());
      return [`${name} ${version}: ${license}`, ...texts].join('\n\n');
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`);
}
