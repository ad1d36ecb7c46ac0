import { handle } from 'hono/aws-lambda';
import { openCloud } from '../cloud.ts';
import { cloudApi } from '../cloud-api.ts';

const cloud = openCloud();

/** The function URL: the namespace and the registration of agents. */
export const handler = handle(cloudApi({ ...cloud, namespace: await cloud.namespace() }));
