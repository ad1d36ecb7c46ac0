import type { Context, MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import { isOperation } from '#shared/namespace/operations.ts';
import type { Clock } from '#shared/ports/clock.ts';

const TRACE = 'x-amzn-trace-id';
const SERVER_ERRORS = 500;

interface Observer {
  /** Of the installation. */
  readonly name: string;
  readonly clock: Clock;
  readonly print: (line: string) => void;
}

/**
 * A line of JSON for each request: to be searched as a log and, by its `_aws` part (the embedded metric format), counted by
 * CloudWatch. The trace that the caller is in is named in it, and handed back.
 */
export function observed({ name, clock, print }: Observer): MiddlewareHandler {
  return async (c, next) => {
    const startedAt = clock();
    const trace = c.req.header(TRACE) ?? process.env['_X_AMZN_TRACE_ID'];
    await next();
    if (trace !== undefined) c.header(TRACE, trace);
    const { status } = c.res;
    const line = {
      _aws: { Timestamp: Math.round(startedAt), CloudWatchMetrics: [METRICS] },
      name,
      op: operationOf(c),
      requests: 1,
      errors: status >= SERVER_ERRORS ? 1 : 0,
      latency: Math.round((clock() - startedAt) * 10) / 10,
      status,
      ...(trace !== undefined && { trace }),
    };
    print(JSON.stringify(line));
  };
}

const METRICS = {
  Namespace: 'Leat',
  Dimensions: [['name'], ['name', 'op']],
  Metrics: [
    { Name: 'requests', Unit: 'Count' },
    { Name: 'errors', Unit: 'Count' },
    { Name: 'latency', Unit: 'Milliseconds' },
  ],
};

/** One of a few words, whatever is asked for: CloudWatch charges for each that it has seen. */
function operationOf(c: Context): string {
  const op = c.req.param('op');
  if (op !== undefined && isOperation(op)) return op;
  return `${c.req.method} ${routePath(c, -1)}`;
}
