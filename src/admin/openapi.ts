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

const answered = {
  type: 'object',
  properties: { asked: count, answered: count },
  required: ['asked', 'answered'],
};
const id = { type: 'string', pattern: '^[0-9a-f]{16}$' };

const session = {
  type: 'object',
  properties: {
    id: { ...id, description: 'the same at all replicas; no token can be made of it' },
    kind: {
      type: 'string',
      enum: ['key', 'seen'],
      description: 'key: of mode Table or Learn, which the table alone knows; seen: of a token or a hashed key',
    },
    namespace: text,
    policy: text,
    service: text,
    pod: { ...text, description: 'empty = it has gone' },
    active: { type: 'boolean', description: 'its token or key has come back' },
    firstSeen: time,
    lastSeen: time,
  },
  required: ['id', 'kind', 'namespace', 'policy', 'service', 'pod', 'active', 'firstSeen', 'lastSeen'],
};

const sessionList = {
  type: 'object',
  properties: {
    sessions: { type: 'array', items: session, description: 'the latest used first' },
    more: { type: 'boolean', description: 'there are more than were asked for' },
    replicas: answered,
  },
  required: ['sessions', 'more'],
};

const sessionChange = {
  type: 'object',
  properties: {
    id,
    to: { ...text, description: 'namespace/name of the pod; missing = the session has ended' },
    until: { ...time, description: 'until then tokens made before do not count' },
    told: { ...answered, description: 'replicas that were to hear of it, and those that did' },
  },
  required: ['id', 'until', 'told'],
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

const guarded = {
  400: jsonResponse('bad question', error),
  401: jsonResponse('no bearer token, or an unknown one', error),
  403: jsonResponse('foreign Host, or an account without the right', error),
};

/** About one session, by its id or the value of its cookie. */
function sessionPost(summary: string, answer: unknown, more: Record<string, unknown> = {}): unknown {
  const properties = { session: { ...text, description: "the session's id, or the value of its cookie" }, ...more };
  const schema = { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
  return {
    post: {
      summary,
      security: [{ bearer: [] }],
      requestBody: { required: true, content: { 'application/json': { schema } } },
      responses: {
        200: jsonResponse('ok', answer),
        ...guarded,
        404: jsonResponse('no replica knows the session', error),
        409: jsonResponse('no such Ready pod', error),
        413: jsonResponse('the body is too long', error),
        415: jsonResponse('no JSON', error),
        503: jsonResponse('no more can be remembered', error),
      },
    },
  };
}

const between = {
  summary: 'what replicas tell one another; they show an HMAC of the session keys',
  responses: { 200: jsonResponse('ok', {}), 401: jsonResponse('no replica', error) },
};

export const OPENAPI: unknown = {
  openapi: '3.1.0',
  info: { title: 'Holdfast admin API', version: 'v1' },
  components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  paths: {
    '/healthz': getText('the process is alive'),
    '/readyz': getText('the controller serves traffic', 'not ready; one reason a line'),
    '/metrics': getText('Prometheus metrics'),
    '/api/v1/version': get('version, and the addresses really listened on', version),
    '/api/v1/problems': get('problems in force', { type: 'array', items: problem }),
    '/api/v1/sessions': {
      get: {
        summary: 'sessions in the tables of all replicas',
        security: [{ bearer: [] }],
        parameters: [
          { name: 'policy', in: 'query', required: false, schema: text, example: 'shop/shop' },
          { name: 'pod', in: 'query', required: false, schema: text, example: 'shop/web-0' },
          { name: 'id', in: 'query', required: false, schema: id },
          { name: 'limit', in: 'query', required: false, schema: { type: 'integer', minimum: 1, maximum: 1000 } },
          {
            name: 'local',
            in: 'query',
            required: false,
            schema: { type: 'string', enum: ['1'] },
            description: 'of this process alone',
          },
        ],
        responses: { 200: jsonResponse('ok', sessionList), ...guarded },
      },
    },
    '/api/v1/sessions/show': sessionPost('one session', session),
    '/api/v1/sessions/move': sessionPost('moves a session to a pod', sessionChange, {
      to: { ...text, description: 'a Ready pod, NAME or NAMESPACE/NAME' },
    }),
    '/api/v1/sessions/end': sessionPost('ends a session', sessionChange),
    '/api/v1/sessions/orders': { get: between, post: between },
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
