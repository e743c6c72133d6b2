/** The OpenAPI document of the admin API. */

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const time = { type: 'string', format: 'date-time' };
const address = { type: 'object', properties: { host: text, port: count }, required: ['host', 'port'] };
const error = { type: 'object', properties: { error: text }, required: ['error'] };
const objectRef = {
  type: 'object',
  properties: { kind: text, namespace: text, name: text },
  required: ['kind', 'namespace', 'name'],
};

const problem = {
  type: 'object',
  properties: {
    severity: { type: 'string', enum: ['error', 'warning'] },
    object: objectRef,
    field: { ...text, description: 'path of the field; empty = the whole object' },
    message: text,
    location: { type: 'object', properties: { file: text, line: count }, required: ['file', 'line'] },
    since: time,
  },
  required: ['severity', 'object', 'field', 'message', 'since'],
};

const version = {
  type: 'object',
  properties: {
    version: text,
    node: text,
    startedAt: time,
    workers: count,
    http: address,
    admin: address,
    publicHttpPort: count,
    https: { oneOf: [address, { type: 'null' }], description: 'null = there is no HTTPS' },
    publicHttpsPort: { type: ['integer', 'null'], minimum: 0 },
    table: { type: 'object', properties: { newest: count, live: count }, required: ['newest', 'live'] },
  },
  required: [
    'version',
    'node',
    'startedAt',
    'workers',
    'http',
    'admin',
    'publicHttpPort',
    'https',
    'publicHttpsPort',
    'table',
  ],
};

const drain = {
  type: 'object',
  properties: {
    sessions: count,
    inFlight: count,
    upgraded: count,
    done: {
      type: 'boolean',
      description: 'false while a replica does not answer, or has not been up long enough to know its sessions',
    },
    instance: { ...text, description: 'with local=1: which process answers' },
    replicas: { type: 'object', properties: { asked: count, answered: count }, required: ['asked', 'answered'] },
  },
  required: ['sessions', 'inFlight', 'upgraded', 'done'],
};

function jsonResponse(description: string, schema: unknown): unknown {
  return { description, content: { 'application/json': { schema } } };
}

function get(summary: string, schema: unknown): unknown {
  return { get: { summary, responses: { 200: jsonResponse('ok', schema), 403: jsonResponse('foreign Host', error) } } };
}

function getText(summary: string, failure?: string): unknown {
  const body = { content: { 'text/plain': { schema: text } } };
  const failed = failure === undefined ? {} : { 503: { description: failure, ...body } };
  return { get: { summary, responses: { 200: { description: 'ok', ...body }, ...failed } } };
}

export const OPENAPI: unknown = {
  openapi: '3.1.0',
  info: { title: 'Holdfast admin API', version: 'v1' },
  paths: {
    '/healthz': getText('the process is alive'),
    '/readyz': getText('the controller serves traffic', 'not ready; one reason a line'),
    '/metrics': getText('Prometheus metrics'),
    '/api/v1/version': get('version, and the addresses really listened on', version),
    '/api/v1/problems': get('problems in force', { type: 'array', items: problem }),
    '/api/v1/drain': {
      get: {
        summary: 'work that a pod still has',
        parameters: [
          { name: 'pod', in: 'query', required: true, schema: text, example: 'shop/web-0' },
          {
            name: 'local',
            in: 'query',
            required: false,
            schema: { type: 'string', enum: ['1'] },
            description: 'ask this process alone, not all replicas; for the replicas themselves and from this machine',
          },
        ],
        responses: {
          200: jsonResponse('ok', drain),
          400: jsonResponse('bad query', error),
          401: jsonResponse('local=1 by somebody else', error),
          403: jsonResponse('foreign Host', error),
        },
      },
    },
  },
};
