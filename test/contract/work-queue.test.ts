import { localWorkQueue } from '#agent/embedded/work-queue.ts';
import { workQueueContract } from './work-queue.contract.ts';

workQueueContract('in this process', async () => localWorkQueue({ clock: Date.now }));
