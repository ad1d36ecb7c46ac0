import { LeatError } from '../model/faults.ts';
import { AGENTS } from '../model/ids.ts';
import type { RecordRow } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { Clock } from '../ports/clock.ts';
import type { Condition, Metastore, RowKey } from '../ports/metastore.ts';

/** An agent renews three times in it; one that does not is told of no more changes. */
export const AGENT_LEASE_MS = 30_000;
/** An agent that comes back within it finds its inbox; after that the inbox is taken away. */
const ABSENCE_MS_MAX = 600_000;
const ATTEMPTS_MAX = 10;
const PAGE_AGENTS = 1000;
const ID = /^[A-Za-z0-9][A-Za-z0-9-]{0,39}$/;
const IDENTITY_KEY: RowKey = { directory: AGENTS, name: '!identity' as Name };

export interface JoinedAgent {
  readonly id: string;
  /** Where it is told of changes; an address of the queues that the binding has. */
  readonly inbox: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Both are idempotent. */
export interface Inboxes {
  /** Makes it if need be; the same id has always the same inbox. */
  open(id: string): Promise<string>;
  remove(inbox: string): Promise<void>;
}

export interface AgentsDeps {
  readonly metastore: Metastore;
  readonly inboxes: Inboxes;
  readonly clock: Clock;
}

export function parseAgentId(text: string): string {
  if (ID.test(text)) return text;
  throw new LeatError('invalid', `'${text.slice(0, 64)}': the id of an agent is 1 to 40 letters, digits and dashes`);
}

/**
 * Who has joined, as records with a lease. Whoever tells agents of changes asks for the list after the change is in the log: an
 * agent that reads the log's last number after it has joined misses nothing.
 */
export class Agents {
  readonly #deps: AgentsDeps;

  constructor(deps: AgentsDeps) {
    this.#deps = deps;
  }

  /** The first time and each time again; the inbox stays, unless the agent says that it is gone. */
  async join(id: string, { isInboxGone = false } = {}): Promise<JoinedAgent> {
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      const known = await this.#find(id);
      const inbox = (isInboxGone ? undefined : known?.agent.inbox) ?? (await this.#deps.inboxes.open(id));
      const agent = { id, inbox, until: this.#deps.clock() + AGENT_LEASE_MS };
      if (await this.#put(agent, known)) return agent;
    }
    throw new LeatError(
      'contended',
      `agent ${id} could not be registered: another one uses this id; give each its own`,
    );
  }

  /** It is told of no more changes. Its inbox stays for a while, as it may only be starting again. */
  async leave(id: string): Promise<void> {
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      const known = await this.#find(id);
      if (!known || known.agent.until === 0 || (await this.#put({ ...known.agent, until: 0 }, known))) return;
    }
  }

  /** Whose lease holds. */
  async joined(): Promise<JoinedAgent[]> {
    const now = this.#deps.clock();
    return (await this.#all()).map(({ agent }) => agent).filter(({ until }) => until > now);
  }

  /** Takes away those that do not come back, with their inboxes; answers how many. */
  async forgetAbsent(): Promise<number> {
    const seenAfter = this.#deps.clock() - AGENT_LEASE_MS - ABSENCE_MS_MAX;
    let count = 0;
    for (const { agent, version, seenAt } of await this.#all()) {
      if (seenAt > seenAfter) continue;
      // The record first: one that comes back just now makes a new inbox, or keeps this one by failing the condition.
      const removal = { act: 'remove', key: keyOf(agent.id), when: { version } } as const;
      if (!(await this.#deps.metastore.commit([removal])).committed) continue;
      await this.#deps.inboxes.remove(agent.inbox);
      count++;
    }
    return count;
  }

  /** Of the rows: the same for everybody as long as they are there, and another one for others. */
  async identity(): Promise<string> {
    const { metastore } = this.#deps;
    const row = { kind: 'record', version: 1, body: crypto.randomUUID() } as const;
    const [found] = await metastore.get([IDENTITY_KEY]);
    if (found?.kind === 'record') return found.body;
    await metastore.commit([{ act: 'put', key: IDENTITY_KEY, when: 'absent', row }]);
    const [made] = await metastore.get([IDENTITY_KEY]);
    return made?.kind === 'record' ? made.body : row.body;
  }

  async #find(id: string): Promise<Known | undefined> {
    const [row] = await this.#deps.metastore.get([keyOf(id)]);
    return row?.kind === 'record' ? knownOf(row) : undefined;
  }

  async #put(agent: JoinedAgent, known: Known | undefined): Promise<boolean> {
    const when: Condition = known ? { version: known.version } : 'absent';
    const body = JSON.stringify({ ...agent, seenAt: this.#deps.clock() });
    const row: RecordRow = { kind: 'record', version: (known?.version ?? 0) + 1, body };
    return (await this.#deps.metastore.commit([{ act: 'put', key: keyOf(agent.id), when, row }])).committed;
  }

  async #all(): Promise<Known[]> {
    const found: Known[] = [];
    for (let after: Name | undefined; ;) {
      const page = { ...(after !== undefined && { after }), limit: PAGE_AGENTS };
      const rows = await this.#deps.metastore.list(AGENTS, page);
      for (const { name, row } of rows) {
        if (row.kind === 'record' && name !== IDENTITY_KEY.name) found.push(knownOf(row));
      }
      after = rows.at(-1)?.name;
      if (rows.length < PAGE_AGENTS) return found;
    }
  }
}

interface Known {
  readonly agent: JoinedAgent;
  readonly seenAt: number;
  readonly version: number;
}

const keyOf = (id: string): RowKey => ({ directory: AGENTS, name: id as Name });

function knownOf({ version, body }: RecordRow): Known {
  const { seenAt, ...agent } = JSON.parse(body) as JoinedAgent & { readonly seenAt: number };
  return { agent, seenAt, version };
}
