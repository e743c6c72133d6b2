/** Keys of counted things: the metric labels of a slot, joined. Names cannot hold the separator. */
const SEPARATOR = '|';

export function routeSlotKey(namespace: string, ingress: string, service: string): string {
  return [namespace, ingress, service].join(SEPARATOR);
}

export function serviceSlotKey(namespace: string, service: string): string {
  return [namespace, service].join(SEPARATOR);
}

/** `rule` empty = no rule chose; `policy` empty = the route has no policy. */
export function ruleSlotKey(namespace: string, policy: string, rule: string): string {
  return [namespace, policy, rule].join(SEPARATOR);
}

export function policySlotKey(namespace: string, policy: string): string {
  return [namespace, policy].join(SEPARATOR);
}

/** An endpoint of a pool: the labels of its series and its Address identity, so that a pod's new address is a new slot. */
export function endpointSlotKey(
  namespace: string,
  service: string,
  port: number,
  pod: string,
  address: string,
): string {
  return [namespace, service, String(port), pod, address].join(SEPARATOR);
}

export function slotLabels(key: string): string[] {
  return key.split(SEPARATOR);
}
