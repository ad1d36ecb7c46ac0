import { describe, expect, it } from 'vitest';
import { commands } from '#agent/cli/commands.ts';
import { cliOn } from '../support/cli.ts';

const leat = cliOn('/nonexistent/data');

describe('words', () => {
  it('lists every command, and helps with each in two ways', async () => {
    const overview = await leat('help');
    expect(await leat()).toEqual(overview);
    expect(await leat('--help')).toEqual(overview);
    for (const { name, options } of commands) {
      expect(overview.stdout).toContain(`  ${name} `);
      const help = await leat(...name.split(' '), '--help');
      expect(await leat('help', ...name.split(' '))).toEqual(help);
      expect(help).toMatchObject({ code: 0, stderr: '' });
      for (const option of Object.keys(options)) expect(help.stdout).toContain(`--${option}`);
      expect(help.stdout).toMatch(/^Exit codes:$/m);
    }
  });

  it('says its version', async () => {
    expect(await leat('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^leat \d+\.\d+\.\d+\n$/) });
  });

  it.each([
    ['bogus', /no command 'bogus'; `leat help`/],
    ['--data x info', /'--data': options follow the command/],
    ['ls /', /no command 'ls'; did you mean `leat fs ls`/],
    ['fs', /'fs' goes on; there are fs ls,/],
    ['fs bogus', /no command 'fs bogus'; there are fs ls,/],
    ['help bogus', /no command 'bogus'/],
    ['fs ls --bogus', /Unknown option '--bogus'; see `leat fs ls --help`/],
    ['fs cat', /write `leat fs cat PATH…`/],
    ['down now', /write `leat down`/],
    ['fs ls name', /'name': a path in Leat starts with \//],
    ['fs ls /a/../b', /'\.\.' cannot be the name of a file/],
    ['fs cp a ./b', /'a' is no path\. A path is in Leat if it starts with/],
    ['fs mkdir -m 9 /a', /'9': a mode is one to four octal digits/],
    ['mount data /store', /'data': a path in Leat starts with/],
    ['mount /data store', /'store' is no store\. A store is/],
    ['mount /data agent', /the folder of that name is \.\/agent/],
    ['mount /data /store --sync never', /--sync: 'never' is no duration/],
    ['mount /data /store --option plain', /--option: 'plain': write name=value/],
    ['quota set /a', /give --bytes, --entries or both/],
    ['quota set /a --bytes lots', /--bytes: 'lots' is no number of bytes/],
    ['quota set /a --entries -1', /--entries/],
    ['up store', /'store' is no store/],
    ['up a=/x a=/y', /two stores at \/a/],
    ['up --port x', /a port is a number/],
    ['up --set bogus=1', /--set bogus: there is no such property; there are metastore,/],
    ['up --set cache.size=lots', /--set cache\.size: 'lots' is no number of bytes/],
    ['up --at', /argument missing; see `leat up --help`/],
  ])('refuses `leat %s` with exit code 2 and one line', async (words, reason) => {
    const { code, stdout, stderr } = await leat(...words.split(' '));
    expect(stderr).toMatch(reason);
    expect(stderr).toMatch(/^leat: [^\n]+\n$/);
    expect([code, stdout]).toEqual([2, '']);
  });

  it.each(['down', 'info', 'mounts', 'mount /a /b', 'unmount /a', 'fs ls', 'fs cp ./a /b', 'fs load /', 'fs cat /a'])(
    'says with exit code 3 that no agent runs: `leat %s`',
    async (words) => {
      const { code, stderr } = await leat(...words.split(' '));
      expect(stderr).toMatch(/^leat: no agent runs on \/nonexistent\/data .*start one with `leat up`/);
      expect(code).toBe(3);
    },
  );
});
