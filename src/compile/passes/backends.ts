/** Pass 2: what an Ingress backend leads to: the pool of a Service port. */
import type { Snapshot } from '../../model/snapshot.ts';
import type { PoolKey } from '../../model/ids.ts';
import { objectKey, poolKey } from '../../model/ids.ts';
import type { Service, ServiceBackend, ServicePort } from '../../model/resources.ts';
import type { PoolSpec } from '../../model/table.ts';
import type { BackendProtocol } from '../../model/transport.ts';
import { nearest } from '../../model/nearest.ts';

/** What is wrong with a backend, and which part of it. */
export interface BackendFault {
  readonly part: 'name' | 'port';
  readonly message: string;
}

/** Resolves backends; routes to one Service port share one PoolSpec. */
export class Backends {
  readonly #pools = new Map<PoolKey, PoolSpec>();
  readonly #services: Snapshot['services'];
  readonly #refuseLocal: boolean;

  constructor(services: Snapshot['services'], inCluster: boolean) {
    this.#services = services;
    this.#refuseLocal = inCluster;
  }

  /** `meanwhile`: what becomes of requests as long as there is no such Service. */
  resolve(
    namespace: string,
    backend: ServiceBackend,
    meanwhile = 'requests are answered 503 until it exists',
  ): PoolSpec | BackendFault {
    const serviceKey = objectKey(namespace, backend.service);
    const service = this.#services.get(serviceKey);
    if (service === undefined) {
      return { part: 'name', message: `There is no Service ${serviceKey}; ${meanwhile}.` };
    }
    if (service.type === 'ExternalName') {
      const message = `Service ${serviceKey} is of type ExternalName, which is not served; name a Service with endpoints in the cluster.`;
      return { part: 'name', message };
    }
    const port = findPort(service, backend.port);
    return port === undefined ? portFault(service, backend.port) : this.#poolOf(service, port);
  }

  #poolOf(service: Service, port: ServicePort): PoolSpec {
    const { namespace, name } = service.meta;
    const key = poolKey(namespace, name, port.port);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const protocol = protocolOf(port);
    const spec: PoolSpec = {
      key,
      namespace,
      service: name,
      serviceKey: objectKey(namespace, name),
      port: port.port,
      portName: port.name,
      ipFamily: service.ipFamilies[0],
      publishNotReadyAddresses: service.publishNotReadyAddresses,
      refuseLocal: this.#refuseLocal,
      ...(protocol === undefined ? {} : { protocol }),
    };
    this.#pools.set(key, spec);
    return spec;
  }
}

export function isFault(result: PoolSpec | BackendFault): result is BackendFault {
  return 'part' in result;
}

/** By `appProtocol`: Kubernetes' own (KEP-3726) and IANA's names. WebSocket begins as HTTP. */
const APP_PROTOCOLS: ReadonlyMap<string, BackendProtocol> = new Map([
  ['https', 'HTTPS'],
  ['kubernetes.io/wss', 'HTTPS'],
  ['wss', 'HTTPS'],
  ['kubernetes.io/h2c', 'H2C'],
  ['h2c', 'H2C'],
  ['grpc', 'GRPC'],
  ['grpcs', 'GRPCS'],
]);

/** undefined = HTTP: what a port says besides may be meant for others. */
function protocolOf({ appProtocol }: ServicePort): BackendProtocol | undefined {
  return APP_PROTOCOLS.get(appProtocol?.toLowerCase() ?? '');
}

/** A Service may have one number with several protocols (DNS): HTTP goes over TCP. */
function findPort(service: Service, wanted: number | string): ServicePort | undefined {
  return service.ports.find(
    (port) => port.protocol === 'TCP' && wanted === (typeof wanted === 'number' ? port.port : port.name),
  );
}

function portFault(service: Service, wanted: number | string): BackendFault {
  const { namespace, name } = service.meta;
  const tcp = service.ports.filter((port) => port.protocol === 'TCP');
  const near =
    typeof wanted === 'string'
      ? nearest(
          wanted,
          tcp.map((port) => port.name),
        )
      : undefined;
  const known = tcp.map((port) => (port.name === '' ? `${port.port}` : `${port.port} (${port.name})`)).join(', ');
  const hint = near === undefined ? `its TCP ports are ${known === '' ? 'none' : known}` : `write \`${near}\``;
  const what = typeof wanted === 'number' ? `number ${wanted}` : `named "${wanted}"`;
  return { part: 'port', message: `Service ${namespace}/${name} has no TCP port ${what}: ${hint}.` };
}
