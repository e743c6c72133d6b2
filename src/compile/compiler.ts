/**
 * Compiles one snapshot after the other, at the cost of what changed: objects are divided into parts that have no say in
 * each other's outcome (`links.ts`), and only parts that a change touches are compiled again. What comes out is what
 * `compile` makes of the whole snapshot, with the former names of cookies.
 */
import { objectKey, type ObjectKey } from '../model/ids.ts';
import type { Ingress, RefusedPolicy, StickyPolicy } from '../model/resources.ts';
import { changedKeys } from '../model/sharded-map.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { compile, type Compiled } from './compile.ts';
import { withFormerNames } from './former-names.ts';
import {
  FLAG,
  ingressLink,
  linksOf,
  namesLink,
  policyLink,
  secretLink,
  serviceLink,
  type Links,
  type Member,
} from './links.ts';
import type { CompileOptions } from './options.ts';
import { Outcome, type Share } from './outcome.ts';
import { divide } from './parts.ts';

interface Part {
  readonly members: readonly Member[];
  readonly links: Links;
  readonly share: Share;
}

export class Compiler {
  readonly #options: CompileOptions;
  readonly #outcome = new Outcome();
  /** The part that joins a link: there is never more than one. */
  readonly #joined = new Map<string, Part>();
  readonly #readers = new Map<string, Set<Part>>();
  #last: Snapshot | undefined;

  constructor(options: CompileOptions) {
    this.#options = options;
  }

  update(snapshot: Snapshot): Outcome {
    const last = this.#last;
    if (last === undefined || last.ingressClasses !== snapshot.ingressClasses) this.#compileAll(snapshot);
    else this.#compileTouched(last, snapshot);
    // Not before: what could not be compiled is tried again with the next change.
    this.#last = snapshot;
    return this.#outcome;
  }

  #compileAll(snapshot: Snapshot): void {
    const all: Member[] = [
      ...snapshot.ingresses.values(),
      ...snapshot.policies.values(),
      ...snapshot.refusedPolicies.values(),
    ];
    if (this.#options.defaultBackend !== undefined || this.#options.defaultTlsSecret !== undefined) all.push(FLAG);
    this.#replace(new Set(this.#joined.values()), all, snapshot);
  }

  #compileTouched(last: Snapshot, snapshot: Snapshot): void {
    const touched = new Set<Part>();
    const changed = new Map<string, Member | undefined>();
    for (const key of changedKeys(last.ingresses, snapshot.ingresses)) {
      changed.set(ingressLink(key), snapshot.ingresses.get(key));
    }
    const policies = [last.policies, snapshot.policies, last.refusedPolicies, snapshot.refusedPolicies] as const;
    for (const key of [...changedKeys(policies[0], policies[1]), ...changedKeys(policies[2], policies[3])]) {
      changed.set(policyLink(key), snapshot.policies.get(key) ?? snapshot.refusedPolicies.get(key));
      if (policies[0].has(key) !== policies[1].has(key)) this.#touch(touched, namesLink(namespaceOf(key)));
    }
    for (const key of changedKeys(last.services, snapshot.services)) this.#touch(touched, serviceLink(key));
    for (const key of changedKeys(last.secrets, snapshot.secrets)) this.#touch(touched, secretLink(key));

    for (const [own, member] of changed) {
      this.#touch(touched, own);
      if (member === undefined) continue;
      const { joins, reads } = linksOf(member, snapshot, this.#options);
      for (const link of joins) this.#touch(touched, link);
      for (const link of reads) add(touched, this.#joined.get(link));
    }
    const kept = [...touched].flatMap(({ members }) => members).filter((member) => !changed.has(ownLink(member)));
    const now = [...changed.values()].filter((member) => member !== undefined);
    this.#replace(touched, [...kept, ...now], snapshot);
  }

  /** Everything that has to do with the link. */
  #touch(touched: Set<Part>, link: string): void {
    add(touched, this.#joined.get(link));
    for (const part of this.#readers.get(link) ?? []) touched.add(part);
  }

  #replace(touched: ReadonlySet<Part>, members: readonly Member[], snapshot: Snapshot): void {
    const links = new Map(members.map((member) => [member, linksOf(member, snapshot, this.#options)]));
    const divided = divide([...links]);
    const compiled = divided.map((part) => this.#compile(part, snapshot));
    const before = [...touched].map(({ share }) => share);
    for (const part of touched) this.#forget(part);
    for (const [i, share] of this.#outcome.replace(before, compiled).entries()) {
      const part = divided[i] ?? [];
      this.#remember({ members: part, links: union(part.map((member) => links.get(member))), share });
    }
  }

  #compile(members: readonly Member[], snapshot: Snapshot): Compiled {
    const flagless = { ...this.#options, defaultBackend: undefined, defaultTlsSecret: undefined };
    const options = members.includes(FLAG) ? this.#options : flagless;
    const compiled = compile(partOf(snapshot, members), options, snapshot.policies);
    return { ...compiled, table: withFormerNames(compiled.table, this.#outcome.table) };
  }

  #remember(part: Part): void {
    for (const link of part.links.joins) this.#joined.set(link, part);
    for (const link of part.links.reads) {
      const readers = this.#readers.get(link);
      if (readers === undefined) this.#readers.set(link, new Set([part]));
      else readers.add(part);
    }
  }

  #forget(part: Part): void {
    for (const link of part.links.joins) this.#joined.delete(link);
    for (const link of part.links.reads) {
      const readers = this.#readers.get(link);
      readers?.delete(part);
      if (readers?.size === 0) this.#readers.delete(link);
    }
  }
}

/** Services, Secrets and classes are looked up, never gone through, so all of them may be there. */
function partOf(snapshot: Snapshot, members: readonly Member[]): Snapshot {
  const ingresses = new Map<ObjectKey, Ingress>();
  const policies = new Map<ObjectKey, StickyPolicy>();
  const refusedPolicies = new Map<ObjectKey, RefusedPolicy>();
  for (const member of members) {
    if (member === FLAG) continue;
    const key = objectKey(member.meta.namespace, member.meta.name);
    if (member.kind === 'Ingress') ingresses.set(key, member);
    else if ('refused' in member) refusedPolicies.set(key, member);
    else policies.set(key, member);
  }
  return { ...snapshot, ingresses, policies, refusedPolicies };
}

function union(all: readonly (Links | undefined)[]): Links {
  const unique = (side: keyof Links): string[] => [...new Set(all.flatMap((links) => links?.[side] ?? []))];
  return { joins: unique('joins'), reads: unique('reads') };
}

function ownLink(member: Member): string {
  if (member === FLAG) return FLAG;
  const key = objectKey(member.meta.namespace, member.meta.name);
  return member.kind === 'Ingress' ? ingressLink(key) : policyLink(key);
}

function namespaceOf(key: ObjectKey): string {
  return key.slice(0, key.indexOf('/'));
}

function add(parts: Set<Part>, part: Part | undefined): void {
  if (part !== undefined) parts.add(part);
}
