/**
 * The baseline of a file that is written through the mount, run as a child process: the agent's own uploader sends the same bytes of a
 * plain file, all of which are there when it begins. What the mount loses against it is what FUSE and the local file cost.
 *
 *     node test/bench/send.ts S3_URI FILE KEY
 */
import { fstatSync, openSync } from 'node:fs';
import { uploadFile } from '#agent/dirty/upload.ts';
import type { StoreKey } from '#shared/model/inode.ts';
import { openUnderStore } from '#shared/under-stores/open.ts';

const [uri = '', file = '', key = ''] = process.argv.slice(2);
const endpoint = process.env['LEAT_BENCH_ENDPOINT'];
const store = openUnderStore({ uri, options: endpoint === undefined ? {} : { 's3.endpoint': endpoint } });
const fd = openSync(file, 'r');
const { size } = fstatSync(fd);
await store.stat('warm-up' as StoreKey); // connections and credentials are not what is compared
const cpu = process.cpuUsage();
const start = performance.now();
await uploadFile({
  store,
  key: key as StoreKey,
  content: { fd, size },
  attributes: { mode: 0o644 },
  when: 'absent',
  isUnchanged: () => true,
});
const seconds = (performance.now() - start) / 1000;
const used = process.cpuUsage(cpu);
await store.close();
console.log(JSON.stringify({ seconds, bytes: size, operations: 1, cpuSeconds: (used.user + used.system) / 1e6 }));
