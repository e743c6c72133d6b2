/** Projects an Ingress; a rule or path that cannot be read is reported and left out, the others stay. */
import { compactList } from '../../model/compact.ts';
import type { BackendRef, Ingress, IngressPath, IngressRule, Meta } from '../../model/resources.ts';
import type { ObjectFields, Report } from './fields.ts';

const PATH_TYPES = ['Exact', 'Prefix', 'ImplementationSpecific'] as const;

export function projectIngress(object: ObjectFields, meta: Meta, report: Report): Ingress | undefined {
  const spec = object.object('spec');
  if (spec === undefined) {
    if (!object.has('spec')) report.error('spec', 'this is missing; write `spec: {rules: […]}`');
    return undefined;
  }
  const fallback = spec.object('defaultBackend');
  return {
    kind: 'Ingress',
    meta,
    className: spec.string('ingressClassName') || undefined,
    defaultBackend: fallback === undefined ? undefined : readBackend(fallback, report),
    hasDefaultBackend: spec.has('defaultBackend'),
    hasRules: spec.objects('rules').length > 0,
    rules: compactList(spec.objects('rules').flatMap((rule) => readRule(rule, report) ?? [])),
    tls: spec.objects('tls').map((entry) => ({
      hosts: entry.strings('hosts'),
      secretName: entry.string('secretName') ?? '',
    })),
  };
}

function readRule(rule: ObjectFields, report: Report): IngressRule | undefined {
  const host = rule.string('host');
  // Without its host the rule would catch every host's requests.
  if (host === undefined && rule.has('host')) return undefined;
  const http = rule.object('http');
  if (http === undefined) {
    // Legal in the API: a rule without http sends its host to the default backend.
    return rule.has('http') ? undefined : { host: host ?? '', paths: [], index: rule.index };
  }
  const paths = compactList(http.objects('paths').flatMap((path) => readPath(path, report) ?? []));
  return { host: host ?? '', paths, index: rule.index };
}

function readPath(entry: ObjectFields, report: Report): IngressPath | undefined {
  const pathType = entry.oneOf('pathType', PATH_TYPES);
  if (pathType === undefined) {
    if (!entry.has('pathType')) report.error(entry.at('pathType'), 'this is missing; write Prefix or Exact');
    return undefined;
  }
  const path = entry.string('path');
  if (path === undefined && entry.has('path')) return undefined;
  // The API lets only ImplementationSpecific go without a path, and then it means everything.
  const text = path === undefined || path === '' ? '/' : path;
  if ((pathType !== 'ImplementationSpecific' && (path === undefined || path === '')) || !text.startsWith('/')) {
    report.error(entry.at('path'), 'a path starts with a slash; write `/` for everything');
    return undefined;
  }
  const backend = entry.object('backend');
  if (backend === undefined) {
    if (!entry.has('backend')) report.error(entry.at('backend'), MISSING_BACKEND);
    return undefined;
  }
  return { path: text, pathType, backend: readBackend(backend, report), index: entry.index };
}

const MISSING_BACKEND = 'this is missing; write `{service: {name: NAME, port: {number: 80}}}`';

/** undefined = there is nothing to send requests to; the route stays and answers 503, so that no other route catches its requests. */
function readBackend(backend: ObjectFields, report: Report): BackendRef {
  const service = backend.object('service');
  if (service === undefined) {
    const wanted = 'write `service: {name: NAME, port: {number: 80}}`';
    if (backend.has('resource')) report.error(backend.at('resource'), `resource backends are not supported; ${wanted}`);
    else if (!backend.has('service')) report.error(backend.at('service'), `this is missing; ${wanted}`);
    return undefined;
  }
  const name = service.required('name', '`shop`');
  const port = service.object('port');
  if (port === undefined) {
    if (!service.has('port'))
      report.error(service.at('port'), 'this is missing; write `{number: 80}` or `{name: http}`');
    return undefined;
  }
  const portNumber = port.integer('number', 1, 65535);
  const portName = port.string('name');
  if (port.has('number') && port.has('name')) {
    report.error(port.path, 'both `name` and `number` are given; write one of them');
    return undefined;
  }
  if (!port.has('number') && !port.has('name')) {
    report.error(port.path, 'the port is missing; write `number: 80` or `name: http`');
  }
  const reference = portNumber ?? (portName || undefined);
  return name === undefined || reference === undefined ? undefined : { service: name, port: reference };
}
