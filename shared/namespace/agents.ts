import { LeatError } from '../model/faults.ts';
import { AGENTS } from '../model/ids.ts';
import type { Name } from '../model/names.ts';
import type { Clock } from '../ports/clock.ts';
import type { Metastore, RowKey } from '../ports/metastore.ts';
import { allRows } from './all-rows.ts';
import { type Kept, keptIn, recordAt, replaceRecord } from './records.ts';

/** An agent renews three times in it; one that does not is told of no more changes. */
export const AGENT_LEASE_MS = 30_000;
/** An agent that comes back within it finds its inbox; after that the inbox is taken away. */
const ABSENCE_MS_MAX = 600_000;
const ATTEMPTS_MAX = 10;
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
      const known = await recordAt<Seen>(this.#deps.metastore, agentKey(id));
      const inbox = (isInboxGone ? undefined : known?.value.inbox) ?? (await this.#deps.inboxes.open(id));
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
      const known = await recordAt<Seen>(this.#deps.metastore, agentKey(id));
      if (!known || known.value.until === 0 || (await this.#put({ ...known.value, until: 0 }, known))) return;
    }
  }

  /** Whose lease holds. */
  async joined(): Promise<JoinedAgent[]> {
    const now = this.#deps.clock();
    const seen = (await this.#all()).map(({ value: { id, inbox, until } }) => ({ id, inbox, until }));
    return seen.filter(({ until }) => until > now);
  }

  /** Takes away those that do not come back, with their inboxes; answers how many. */
  async forgetAbsent(): Promise<number> {
    const seenAfter = this.#deps.clock() - AGENT_LEASE_MS - ABSENCE_MS_MAX;
    let count = 0;
    for (const { value: agent, version } of await this.#all()) {
      if (agent.seenAt > seenAfter) continue;
      // The record first: one that comes back just now makes a new inbox, or keeps this one by failing the condition.
      const removal = { act: 'remove', key: agentKey(agent.id), when: { version } } as const;
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

  async #put(agent: JoinedAgent, before: Kept<Seen> | undefined): Promise<boolean> {
    const { metastore, clock } = this.#deps;
    return replaceRecord(metastore, agentKey(agent.id), { value: { ...agent, seenAt: clock() }, before });
  }

  async #all(): Promise<Kept<Seen>[]> {
    const found: Kept<Seen>[] = [];
    for await (const { name, row } of allRows(this.#deps.metastore, AGENTS)) {
      if (row.kind === 'record' && name !== IDENTITY_KEY.name) found.push(keptIn(row));
    }
    return found;
  }
}

interface Seen extends JoinedAgent {
  readonly seenAt: number;
}

/** Of its record, a `JoinedAgent`. */
export const agentKey = (id: string): RowKey => ({ directory: AGENTS, name: id as Name });
