/** The Secrets that annotations of Ingresses name: each is watched by its name, as long as one of them names it. */
import { secretsNamed } from '../../api/annotations/secrets.ts';
import { objectKey, type ObjectKey } from '../../model/ids.ts';
import type { Ingress } from '../../model/resources.ts';
import type { SourceEvent } from '../../model/snapshot.ts';
import { referredScope, type Scope, type SecretsWanted } from './kinds.ts';

export class ReferredSecrets {
  readonly #namespaces: readonly string[];
  readonly #wanted: SecretsWanted;
  /** Starts a watch; returns what ends it. */
  readonly #watch: (scope: Scope) => () => void;
  /** By the Ingress that names them. */
  readonly #named = new Map<ObjectKey, ReadonlySet<ObjectKey>>();
  readonly #watched = new Map<ObjectKey, { users: number; readonly end: () => void }>();

  constructor(namespaces: readonly string[], wanted: SecretsWanted, watch: (scope: Scope) => () => void) {
    this.#namespaces = namespaces;
    this.#wanted = wanted;
    this.#watch = watch;
  }

  /** To be told everything that the sink is told. */
  see(event: SourceEvent): void {
    if (event.type === 'delete' && event.ref.kind === 'Ingress') {
      this.#replace(objectKey(event.ref.namespace, event.ref.name), new Map());
    } else if (event.type === 'apply' && event.resource?.kind === 'Ingress') {
      const { meta } = event.resource;
      this.#replace(objectKey(meta.namespace, meta.name), this.#scopesOf(event.resource));
    }
  }

  #scopesOf({ meta }: Ingress): Map<ObjectKey, Scope> {
    const scopes = new Map<ObjectKey, Scope>();
    for (const secret of secretsNamed(meta)) {
      if (secret.namespace !== meta.namespace && !this.#wanted.crossNamespace) continue;
      const scope = referredScope(secret, this.#namespaces, this.#wanted);
      if (scope !== undefined) scopes.set(objectKey(secret.namespace, secret.name), scope);
    }
    return scopes;
  }

  #replace(ingress: ObjectKey, scopes: ReadonlyMap<ObjectKey, Scope>): void {
    const before = this.#named.get(ingress) ?? new Set();
    if (scopes.size === 0) this.#named.delete(ingress);
    else this.#named.set(ingress, new Set(scopes.keys()));
    for (const [secret, scope] of scopes) if (!before.has(secret)) this.#use(secret, scope);
    for (const secret of before) if (!scopes.has(secret)) this.#leave(secret);
  }

  #use(secret: ObjectKey, scope: Scope): void {
    const known = this.#watched.get(secret);
    if (known === undefined) this.#watched.set(secret, { users: 1, end: this.#watch(scope) });
    else known.users++;
  }

  #leave(secret: ObjectKey): void {
    const watched = this.#watched.get(secret);
    if (watched === undefined || --watched.users > 0) return;
    this.#watched.delete(secret);
    watched.end();
  }
}
