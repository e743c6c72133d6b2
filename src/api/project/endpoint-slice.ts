/** Projects an EndpointSlice; its conditions stay three-valued, because what an absent one means is the compiler's business. */
import { compactList } from '../../model/compact.ts';
import type { EndpointSlice, Meta, SliceEndpoint } from '../../model/resources.ts';
import type { ObjectFields, Report } from './fields.ts';

const ADDRESS_TYPES = ['IPv4', 'IPv6', 'FQDN'] as const;
const SERVICE_LABEL = 'kubernetes.io/service-name';

export function projectEndpointSlice(object: ObjectFields, meta: Meta, report: Report): EndpointSlice | undefined {
  const addressType = object.oneOf('addressType', ADDRESS_TYPES);
  if (addressType === undefined) {
    if (!object.has('addressType')) report.error('addressType', 'this is missing; write IPv4 or IPv6');
    return undefined;
  }
  return {
    kind: 'EndpointSlice',
    meta,
    service: meta.labels[SERVICE_LABEL] ?? '',
    addressType,
    ports: object.objects('ports').map((port) => ({
      name: port.string('name') ?? '',
      port: port.integer('port', 1, 65535),
      protocol: port.string('protocol') ?? 'TCP',
      index: port.index,
    })),
    endpoints: compactList(
      object.objects('endpoints').flatMap((endpoint) => readEndpoint(endpoint, meta, report) ?? []),
    ),
  };
}

function readEndpoint(endpoint: ObjectFields, meta: Meta, report: Report): SliceEndpoint | undefined {
  const [address] = endpoint.strings('addresses');
  if (address === undefined) {
    report.error(endpoint.at('addresses'), 'there is no address; write a list of one, such as ["10.0.0.7"]');
    return undefined;
  }
  const conditions = endpoint.object('conditions');
  return {
    address,
    ready: conditions?.boolean('ready'),
    serving: conditions?.boolean('serving'),
    terminating: conditions?.boolean('terminating'),
    targetRef: readTarget(endpoint.object('targetRef'), meta),
    index: endpoint.index,
  };
}

function readTarget(target: ObjectFields | undefined, meta: Meta): SliceEndpoint['targetRef'] {
  const name = target?.string('name');
  if (target === undefined || name === undefined || name === '') return undefined;
  const namespace = target.string('namespace') ?? '';
  return {
    kind: target.string('kind') ?? 'Pod',
    // The slice's own string where it says the same: thousands of copies would be kept.
    namespace: [meta.namespace, ''].includes(namespace) ? meta.namespace : namespace,
    name,
    uid: target.string('uid') ?? '',
  };
}
