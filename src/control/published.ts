/** The addresses that the status of our Ingresses shows: those given, or those of the published Service. */
import { isIP } from 'node:net';
import type { LoadBalancerAddress } from './status-objects.ts';
import type { RawNamed } from './watch-one.ts';

/** IP addresses and host names as they were given. */
export function givenAddresses(addresses: readonly string[]): LoadBalancerAddress[] {
  return addresses.map(addressOf);
}

/**
 * Of a Service as the API gives it. A LoadBalancer's are those that it was given, and its external IPs; the others have
 * their external IPs, else the address within the cluster.
 */
export function serviceAddresses(raw: RawNamed): LoadBalancerAddress[] {
  const spec = (raw['spec'] ?? {}) as {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    externalIPs?: string[];
    externalName?: string;
  };
  const { loadBalancer } = (raw['status'] ?? {}) as {
    loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] };
  };
  const external = spec.externalIPs ?? [];
  if (spec.type === 'ExternalName') return unique([spec.externalName]);
  if (spec.type === 'LoadBalancer') {
    return unique([...(loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname), ...external]);
  }
  if (external.length > 0) return unique(external);
  return unique((spec.clusterIPs ?? [spec.clusterIP]).filter((ip) => ip !== 'None'));
}

function unique(texts: readonly (string | undefined)[]): LoadBalancerAddress[] {
  return [...new Set(texts)].filter((text): text is string => text !== undefined && text !== '').map(addressOf);
}

function addressOf(text: string): LoadBalancerAddress {
  return isIP(text) === 0 ? { hostname: text } : { ip: text };
}
