/**
 * What an Ingress controller must do for Ingress v1, as data: which Ingress, which request, what the client and the backend
 * see. The facts are those of the 30 scenarios of kubernetes-sigs/ingress-controller-conformance (Apache-2.0) at commit
 * f91a7996369a1b76e5e058f78da2285026178b59; an `id` is the feature file there and the place of the scenario in it.
 */

export interface Backend {
  readonly service: { readonly name: string; readonly port: { readonly number?: number; readonly name?: string } };
}

interface Rule {
  readonly host: string;
  readonly http: { readonly paths: readonly { path: string; pathType: string; backend: Backend }[] };
}

/** The part of an Ingress `spec` that the scenarios use. */
export interface IngressSpec {
  readonly ingressClassName?: string;
  readonly defaultBackend?: Backend;
  readonly tls?: readonly { readonly hosts: readonly string[]; readonly secretName: string }[];
  readonly rules?: readonly Rule[];
}

export interface Question {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The Host field; undefined = the address that is asked, as of a client that knows no name. */
  readonly host: string | undefined;
  readonly path: string;
}

/** What must hold of the answer, and of the request that the backend saw. */
export interface Expectation {
  readonly status: number;
  /** Whose backend answered. */
  readonly service?: string;
  readonly proto?: string;
  /** Fields that the answer must have, with any value. */
  readonly fields?: readonly string[];
  readonly seen?: {
    readonly method?: string;
    readonly path?: string;
    readonly proto?: string;
    readonly host?: string;
    readonly userAgent?: string;
  };
}

interface Named {
  readonly id: string;
  readonly title: string;
}

/** That many requests reach all of that many pods of the default backend. */
export interface ScaledScenario extends Named {
  readonly ask: Question;
  readonly requests: number;
  readonly pods: number;
}

export type Scenario =
  | ScaledScenario
  | (Named & { readonly ask: Question; readonly expected: Expectation })
  /** The Ingress is not ours: its status never says an address. */
  | (Named & { readonly notPublished: true });

export interface Feature {
  readonly name: string;
  readonly ingress: string;
  readonly spec: IngressSpec;
  /** Of a self-signed certificate in the Secret that `spec.tls` names. */
  readonly certificateFor?: string;
  readonly scenarios: readonly Scenario[];
}

/** The client of the original suite sends it, and so do the tests here. */
export const USER_AGENT = 'Go-http-client/1.1';

function backend(name: string, port: Backend['service']['port'] = { number: 8080 }): Backend {
  return { service: { name, port } };
}

/** @param paths `Type path service` each */
function rule(host: string, ...paths: readonly string[]): Rule {
  const entries = paths.map((text) => {
    const [pathType = '', path = '', service = ''] = text.split(' ');
    return { path, pathType, backend: backend(service) };
  });
  return { host, http: { paths: entries } };
}

function get(host: string, path = '/'): Question {
  return { method: 'GET', scheme: 'http', host, path };
}

/** Everything is the default backend's, with its request line and fields as the client sent them. */
function unmatched(n: number, method: string, host: string | undefined, path: string): Scenario {
  const expected: Expectation = {
    status: 200,
    service: 'echo-service',
    proto: 'HTTP/1.1',
    fields: ['content-length', 'content-type', 'date', 'server'],
    seen: { method, path, proto: 'HTTP/1.1', userAgent: USER_AGENT },
  };
  const title = `no rules: ${method} ${host ?? 'without a name'} ${path} reaches the default backend`;
  return { id: `default_backend#${n}`, title, ask: { method, scheme: 'http', host, path }, expected };
}

/** @param service undefined = nobody's */
function onHost(n: number, host: string, service: string | undefined, title: string): Scenario {
  const expected = service === undefined ? { status: 404 } : { status: 200, service, seen: { host } };
  return { id: `host_rules#${n}`, title, ask: get(host), expected };
}

/** @param service undefined = nobody's */
function onPath(n: number, host: string, path: string, service: string | undefined, title: string): Scenario {
  const expected = service === undefined ? { status: 404 } : { status: 200, service };
  return { id: `path_rules#${n}`, title: `${title}: ${path}`, ask: get(`${host}-path-rules`, path), expected };
}

const DEFAULT_BACKEND: Feature = {
  name: 'default_backend',
  ingress: 'default-backend',
  spec: { defaultBackend: backend('echo-service') },
  scenarios: [
    unmatched(1, 'GET', 'my-host', '/'),
    unmatched(2, 'GET', 'my-host', '/sub-path'),
    unmatched(3, 'POST', 'some-host', '/'),
    unmatched(4, 'PUT', undefined, '/resource'),
    unmatched(5, 'DELETE', 'some-host', '/resource'),
    unmatched(6, 'PATCH', 'my-host', '/resource'),
  ],
};

const HOST_RULES: Feature = {
  name: 'host_rules',
  ingress: 'host-rules',
  spec: {
    tls: [{ hosts: ['foo.bar.com'], secretName: 'conformance-tls' }],
    rules: [
      rule('*.foo.com', 'Prefix / wildcard-foo-com'),
      {
        host: 'foo.bar.com',
        http: { paths: [{ path: '/', pathType: 'Prefix', backend: backend('foo-bar-com', { name: 'http' }) }] },
      },
    ],
  },
  certificateFor: 'foo.bar.com',
  scenarios: [
    {
      id: 'host_rules#1',
      title: 'HTTPS with the certificate of the Secret reaches the backend of the host',
      ask: { method: 'GET', scheme: 'https', host: 'foo.bar.com', path: '/' },
      expected: { status: 200, service: 'foo-bar-com', seen: { host: 'foo.bar.com' } },
    },
    onHost(2, 'foo.bar.com', 'foo-bar-com', 'a host, its port by name'),
    onHost(3, 'subdomain.bar.com', undefined, 'a host that no rule has'),
    onHost(4, 'bar.foo.com', 'wildcard-foo-com', 'a wildcard takes one label'),
    onHost(5, 'baz.bar.foo.com', undefined, 'a wildcard does not take two labels'),
    onHost(6, 'foo.com', undefined, 'a wildcard does not take none'),
  ],
};

const INGRESS_CLASS: Feature = {
  name: 'ingress_class',
  ingress: 'test-ingress-class',
  spec: {
    ingressClassName: 'some-invalid-class-name',
    rules: [rule('ingress-class', 'Prefix / ingress-class-prefix')],
  },
  scenarios: [{ id: 'ingress_class#1', title: 'an Ingress of a class that nobody has', notPublished: true }],
};

const LOAD_BALANCING: Feature = {
  name: 'load_balancing',
  ingress: 'load-balancing',
  spec: { defaultBackend: backend('echo-service') },
  scenarios: [
    {
      id: 'load_balancing#1',
      title: 'requests reach every pod of a backend that was scaled',
      requests: 100,
      ask: get('load-balancing'),
      pods: 10,
    },
  ],
};

const PATH_RULES: Feature = {
  name: 'path_rules',
  ingress: 'path-rules',
  spec: {
    rules: [
      rule('exact-path-rules', 'Exact /foo foo-exact'),
      rule(
        'prefix-path-rules',
        'Prefix /foo foo-prefix',
        'Prefix /aaa/bbb aaa-slash-bbb-prefix',
        'Prefix /aaa aaa-prefix',
      ),
      rule('mixed-path-rules', 'Prefix /foo foo-prefix', 'Exact /foo foo-exact'),
      rule('trailing-slash-path-rules', 'Prefix /aaa/bbb/ aaa-slash-bbb-slash-prefix', 'Exact /foo/ foo-slash-exact'),
    ],
  },
  scenarios: [
    onPath(1, 'exact', '/foo', 'foo-exact', 'Exact'),
    onPath(2, 'exact', '/foo/', undefined, 'Exact minds a trailing slash'),
    onPath(3, 'exact', '/FOO', undefined, 'Exact minds case'),
    onPath(4, 'exact', '/bar', undefined, 'Exact and another path'),
    onPath(5, 'prefix', '/foo', 'foo-prefix', 'Prefix'),
    onPath(6, 'prefix', '/foo/', 'foo-prefix', 'Prefix ignores a trailing slash'),
    onPath(7, 'prefix', '/FOO', undefined, 'Prefix minds case'),
    onPath(8, 'prefix', '/aaa/bbb', 'aaa-slash-bbb-prefix', 'the longest Prefix wins'),
    onPath(9, 'prefix', '/aaa/bbb/ccc', 'aaa-slash-bbb-prefix', 'the longest Prefix wins below it'),
    onPath(10, 'prefix', '/aaa/ccc', 'aaa-prefix', 'the shorter Prefix has the rest'),
    onPath(11, 'prefix', '/aaaccc', undefined, 'Prefix takes whole segments'),
    // The original has this one twice, too.
    onPath(12, 'prefix', '/foo/', 'foo-prefix', 'Prefix ignores a trailing slash'),
    onPath(13, 'mixed', '/foo', 'foo-exact', 'Exact beats Prefix'),
    onPath(14, 'trailing-slash', '/aaa/bbb', 'aaa-slash-bbb-slash-prefix', 'a Prefix that ends in a slash'),
    onPath(15, 'trailing-slash', '/aaa/bbb/', 'aaa-slash-bbb-slash-prefix', 'a Prefix that ends in a slash'),
    onPath(16, 'trailing-slash', '/foo', undefined, 'an Exact that ends in a slash'),
  ],
};

export const FEATURES = [DEFAULT_BACKEND, HOST_RULES, INGRESS_CLASS, LOAD_BALANCING, PATH_RULES];
