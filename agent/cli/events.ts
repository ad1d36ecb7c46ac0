import { setTimeout as sleep } from 'node:timers/promises';
import type { EventInfo } from '#functions/api/events.ts';
import { type FaultKind, isFault, LeatError } from '#shared/model/faults.ts';
import type { Client } from './client.ts';
import { command } from './command.ts';
import { leatPath } from './location.ts';
import { type ServerSentEvent, serverSentEvents } from './server-sent-events.ts';

const HELP = `
Prints what happens to the files at a path (default /) and below it, a line for each event, until Ctrl-C: created, changed or
removed, and the path. A rename is removed and created; of a directory it is one line of each, whatever is below. Events of
one directory come in order. When the agent is gone for a while, this waits for it and goes on where it was.

Events can be lost: when this was away longer than the agent remembers, or reads too slowly, or the agent has started again.
Then a line on stderr says so, with --json the event gap: what was seen of the files before may have changed.

JSON, a line per event: {event, cursor, path, kind, inode, size, mode, uid, gid, mtimeNs, generation}; event is created,
changed, removed, ready (all that was missed has been printed) or gap. Pass the last cursor to --after to go on from there.

Errors: no such path, not permitted.

  leat events /data
  leat events /data --json --after 4c1f9a2e-17
`;

const RETRY_MS = 250;
const RETRY_MS_MAX = 5000;

export const events = command({
  name: 'events',
  usage: '[PATH]',
  takes: [0, 1],
  summary: 'follow what happens to files',
  help: HELP,
  options: {
    after: { type: 'string', value: 'CURSOR', help: 'go on behind this event (default: from now on)' },
  },
  async run({ positionals: [word = '/'], values, terminal, agent, print }) {
    const following = { path: leatPath(word), after: values.after, signal: terminal.signal };
    let isKnown = false;
    let pause = RETRY_MS;
    for (;;) {
      try {
        for await (const event of follow(agent(), following)) {
          if (!isKnown && terminal.watched) terminal.err(`Following ${following.path}. Ctrl-C stops.\n`);
          isKnown = true;
          pause = RETRY_MS;
          following.after = event.id ?? following.after;
          if (event.event === 'gap' && !values.json) terminal.err(LOST);
          const info = JSON.parse(event.data || '{}') as Partial<EventInfo>;
          const shown = { event: event.event, cursor: event.id, ...info };
          if (event.data !== '' && (info.path !== undefined || values.json)) print(lineOf(shown), shown);
        }
      } catch (error) {
        // The first answer tells whether there is an agent, and such a path.
        if (!isKnown || terminal.signal.aborted || !isFault(error) || !error.fault.retry) throw error;
      }
      if (pause === RETRY_MS) terminal.err(`leat: the agent does not answer; waiting for it\n`);
      await sleep(pause, undefined, { signal: terminal.signal });
      pause = Math.min(pause * 2, RETRY_MS_MAX);
    }
  },
});

const LOST = 'leat: events were lost; what was seen of the files before may have changed\n';

function lineOf({ event, path = '', kind }: Partial<EventInfo> & { readonly event: string }): string {
  return `${event.padEnd(8)} ${path}${kind === 'directory' && path !== '/' ? '/' : ''}\n`;
}

interface Following {
  readonly path: string;
  readonly after: string | undefined;
  readonly signal: AbortSignal;
}

async function* follow(client: Client, { path, after, signal }: Following): AsyncGenerator<ServerSentEvent> {
  const query = { path, ...(after !== undefined && { after }) };
  const { body } = await client.events.$get({ query }, { init: { signal } });
  try {
    for await (const event of serverSentEvents(body)) {
      if (event.event === 'error') throw ended(event.data);
      yield event;
    }
  } catch (error) {
    if (isFault(error)) throw error;
    throw new LeatError('unavailable', `the stream of events broke: ${String(error)}`, { cause: error });
  }
}

function ended(data: string): LeatError {
  const { kind, message } = JSON.parse(data) as { readonly kind: FaultKind; readonly message: string };
  return new LeatError(kind, message);
}
