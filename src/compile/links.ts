/** What ties objects together in a compilation: objects without a common link have no say in what comes of each other. */
import { objectKey, type ObjectKey } from '../model/ids.ts';
import type { Ingress, RefusedPolicy, Service, StickyPolicy } from '../model/resources.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { TargetRef } from '../model/sticky-policy.ts';
import { secretsNamed } from '../api/annotations/secrets.ts';
import { ANNOTATIONS, PREFIX } from '../api/annotations/table.ts';
import type { CompileOptions } from './options.ts';
import { normalizeRuleHost } from './passes/hosts.ts';

/** The backend and the certificate that flags give are compiled like an object. */
export const FLAG = 'flag';

/** What is compiled; Services and IngressClasses are looked up meanwhile. */
export type Member = Ingress | StickyPolicy | RefusedPolicy | typeof FLAG;

export interface Links {
  /** All objects with one of these are compiled together. The first one is the object's own. */
  readonly joins: readonly string[];
  /** What is looked up: when it changes the object is compiled again. Of all readers of a link that somebody joins, all join. */
  readonly reads: readonly string[];
}

/** Of rules without a host and of what is served when nothing matches: to a browser's cookies the two are one. */
const HOSTLESS = 'host ';
const STICKY_POLICY = PREFIX + ANNOTATIONS.stickyPolicy.name;
const COOKIE_DOMAIN = PREFIX + ANNOTATIONS.cookieDomain.name;

// Joined for the same reason as in `objectKey`.
export function ingressLink(key: ObjectKey): string {
  return ['ingress', key].join(' ');
}

export function policyLink(key: ObjectKey): string {
  return ['policy', key].join(' ');
}

export function serviceLink(key: ObjectKey): string {
  return ['service', key].join(' ');
}

export function secretLink(key: ObjectKey): string {
  return ['secret', key].join(' ');
}

/** The names of all policies of a namespace: what a mistyped one is compared with. */
export function namesLink(namespace: string): string {
  return `names ${namespace}`;
}

export function linksOf(member: Member, snapshot: Snapshot, options: CompileOptions): Links {
  if (member === FLAG) return linksOfFlag(options);
  return member.kind === 'Ingress' ? linksOfIngress(member, snapshot) : linksOfPolicy(member, snapshot);
}

function linksOfFlag({ defaultBackend, defaultTlsSecret }: CompileOptions): Links {
  const reads: string[] = [];
  if (defaultBackend !== undefined)
    reads.push(serviceLink(objectKey(defaultBackend.namespace, defaultBackend.service)));
  if (defaultTlsSecret !== undefined)
    reads.push(secretLink(objectKey(defaultTlsSecret.namespace, defaultTlsSecret.name)));
  return { joins: [FLAG, HOSTLESS], reads };
}

/** Ingresses meet in hosts: for its paths, its certificates, and for the names of the cookies of its browsers. */
function linksOfIngress(ingress: Ingress, snapshot: Snapshot): Links {
  const { namespace, name, annotations } = ingress.meta;
  const joins = [ingressLink(objectKey(namespace, name))];
  const reads: string[] = [];
  for (const { host } of ingress.rules) joins.push(`host ${normalizeRuleHost(host)}`);
  for (const { hosts, secretName } of ingress.tls) {
    for (const host of hosts) joins.push(`host ${normalizeRuleHost(host)}`);
    if (secretName !== '') reads.push(secretLink(objectKey(namespace, secretName)));
  }
  for (const secret of secretsNamed(ingress.meta)) reads.push(secretLink(objectKey(secret.namespace, secret.name)));
  if (ingress.hasDefaultBackend && !ingress.hasRules) joins.push(HOSTLESS);
  for (const service of servicesOf(ingress)) addService(joins, reads, objectKey(namespace, service), snapshot);
  const policy = annotations[STICKY_POLICY]?.trim();
  if (policy !== undefined) {
    const key = objectKey(namespace, policy);
    joins.push(policyLink(key));
    if (!snapshot.policies.has(key)) reads.push(namesLink(namespace));
  }
  const domain = annotations[COOKIE_DOMAIN];
  if (domain !== undefined) joins.push(domainLink(domain));
  return { joins, reads };
}

function addService(joins: string[], reads: string[], key: ObjectKey, { services }: Snapshot): void {
  (matters(services.get(key)) ? joins : reads).push(serviceLink(key));
}

/** Policies meet in their targets, in the Domains of their cookies and in groups. */
function linksOfPolicy(policy: StickyPolicy | RefusedPolicy, snapshot: Snapshot): Links {
  const { namespace, name } = policy.meta;
  const joins = [policyLink(objectKey(namespace, name))];
  const targets = 'refused' in policy ? policy.targetRefs : (policy.spec.targetRefs ?? []);
  for (const target of targets) joins.push(targetLink(namespace, target));
  if ('refused' in policy) return { joins, reads: [] };
  const { session, rules } = policy.spec;
  if (session?.group !== undefined) joins.push(`group ${namespace}/${session.group}`);
  const reads: string[] = [];
  for (const { cookie, backends } of rules ?? []) {
    for (const domain of cookie?.domains ?? []) joins.push(domainLink(domain));
    for (const { service } of backends ?? []) addService(joins, reads, objectKey(namespace, service.name), snapshot);
  }
  return { joins, reads };
}

function targetLink(namespace: string, { kind, name }: TargetRef): string {
  const key = objectKey(namespace, name);
  return kind === 'Ingress' ? ingressLink(key) : serviceLink(key);
}

/** As in `cookiePlaces`, where the cookies of one Domain meet whatever their hosts are. */
function domainLink(domain: string): string {
  return `domain ${domain.trim().replace(/^\./, '').toLowerCase()}`;
}

/** Services that give a policy, or about which something is reported, once, however many Ingresses lead there. */
function matters(service: Service | undefined): boolean {
  return service !== undefined && (service.clientIPTimeout !== undefined || service.publishNotReadyAddresses);
}

function servicesOf({ rules, defaultBackend }: Ingress): Set<string> {
  const services = new Set<string>();
  for (const { paths } of rules) {
    for (const { backend } of paths) if (backend !== undefined) services.add(backend.service);
  }
  if (defaultBackend !== undefined) services.add(defaultBackend.service);
  return services;
}
