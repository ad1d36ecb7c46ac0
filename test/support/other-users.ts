import { run } from './run.ts';

/** What a user's Python prints, in a folder; of a failure its errno. For root only, and where there is Python. */
export async function asUser(uid: number, folder: string, code: string): Promise<string> {
  const prelude = `import os\nos.chdir('${folder}')\nos.setgroups([])\nos.setgid(${uid})\nos.setuid(${uid})\n`;
  const { stdout, stderr } = await run('python3', ['-c', `${prelude}${code}`]);
  return stdout.trim() + (/\[Errno \d+\]/.exec(stderr)?.[0] ?? stderr);
}
