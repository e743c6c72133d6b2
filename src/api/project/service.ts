/** Projects a Service: its ports, address families and what it stands for. */
import { compactList } from '../../model/compact.ts';
import type { Meta, Service, ServicePort } from '../../model/resources.ts';
import type { ObjectFields, Report } from './fields.ts';

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;
const FAMILIES = ['IPv4', 'IPv6'] as const;

export function projectService(object: ObjectFields, meta: Meta, report: Report): Service | undefined {
  const spec = object.object('spec');
  if (spec === undefined) {
    if (!object.has('spec')) report.error('spec', 'this is missing; write `spec: {ports: [{port: 80}]}`');
    return undefined;
  }
  const type = spec.oneOf('type', TYPES);
  // A type that we cannot read must not pass for a ClusterIP: it might have been an ExternalName.
  if (type === undefined && spec.has('type')) return undefined;
  return {
    kind: 'Service',
    meta,
    type: type ?? 'ClusterIP',
    externalName: spec.string('externalName'),
    publishNotReadyAddresses: spec.boolean('publishNotReadyAddresses') ?? false,
    ports: readPorts(spec, report),
    clientIPTimeout: spec.string('sessionAffinity') === 'ClientIP' ? readClientIPTimeout(spec) : undefined,
    ipFamilies: readFamilies(spec, report),
  };
}

/** Kubernetes's own default and bounds. */
function readClientIPTimeout(spec: ObjectFields): number {
  const clientIP = spec.object('sessionAffinityConfig')?.object('clientIP');
  return clientIP?.integer('timeoutSeconds', 1, 86_400) ?? 10_800;
}

function readPorts(spec: ObjectFields, report: Report): readonly ServicePort[] {
  const ports: ServicePort[] = [];
  for (const entry of spec.objects('ports')) {
    const port = entry.integer('port', 1, 65535);
    if (port === undefined) {
      if (!entry.has('port')) report.error(entry.at('port'), 'this is missing; write a port number such as 80');
      continue;
    }
    ports.push({
      name: entry.string('name') ?? '',
      port,
      protocol: entry.string('protocol') ?? 'TCP',
      appProtocol: entry.string('appProtocol'),
    });
  }
  return compactList(ports);
}

function readFamilies(spec: ObjectFields, report: Report): Service['ipFamilies'] {
  const families: ('IPv4' | 'IPv6')[] = [];
  for (const text of spec.strings('ipFamilies')) {
    const family = FAMILIES.find((candidate) => candidate === text);
    if (family === undefined) report.error(spec.at('ipFamilies'), 'this holds an unknown family; write IPv4 or IPv6');
    else families.push(family);
  }
  return compactList(families);
}
