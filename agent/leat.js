#!/usr/bin/env node
// Plain JavaScript that every Node since 14 can read: an older one must say one line, not fail on syntax or types.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';

const NODE_MIN = 24;

if (Number(process.versions.node.split('.')[0]) >= NODE_MIN) {
  // An agent lives long and holds little: heaps that stay small are worth more than the last bit of speed.
  v8.setFlagsFromString('--memory-saver-mode');
  // What was compiled once, and stripped of its types, is not compiled again: a third of the time to start, and its memory.
  module.enableCompileCache();
  // `leat up` is a small process that starts the agent, and another one when that dies.
  const isSupervisor = process.argv[2] === 'up' && process.env.LEAT_SUPERVISED === undefined;
  await (isSupervisor ? import('./supervisor/main.ts') : import('./cli/main.ts'));
} else {
  // The source tree brings its own Node as a dev dependency; through npm it comes first in the PATH anyway.
  const own = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
  if (existsSync(own)) runWith(own);
  else refuse('install a newer one, or in the source tree run `npm ci`, which brings one');
}

/** @param {string} node */
function runWith(node) {
  say('going on with the one in node_modules');
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  // Ctrl-C reaches both by way of the terminal; what is sent to this process alone is handed on.
  process.on('SIGINT', () => {});
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 1;
    if (signal) process.kill(process.pid, signal);
  });
}

/** @param {string} next */
function refuse(next) {
  say(next);
  process.exitCode = 1;
}

/** @param {string} next */
function say(next) {
  process.stderr.write(`leat needs Node ${NODE_MIN} or newer, and this is ${process.version}: ${next}\n`);
}
