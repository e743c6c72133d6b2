/** Looks up the Secrets that annotations of an Ingress name. */
import { secretName } from '../../api/annotations/secrets.ts';
import { objectKey, type ObjectKey } from '../../model/ids.ts';
import type { Ingress, Secret } from '../../model/resources.ts';
import type { CompileOptions } from '../options.ts';

export class NamedSecrets {
  readonly #secrets: ReadonlyMap<ObjectKey, Secret>;
  readonly #crossNamespace: boolean;

  constructor(secrets: ReadonlyMap<ObjectKey, Secret>, { allowCrossNamespaceSecrets = false }: CompileOptions) {
    this.#secrets = secrets;
    this.#crossNamespace = allowCrossNamespaceSecrets;
  }

  /** `text`: the annotation's value. A message for the user when there is no such Secret, or it may not be used. */
  find({ meta }: Ingress, text: string): Secret | string {
    const name = secretName(text, meta.namespace);
    if (name === undefined) return 'this is no name of a Secret; write one such as `shop/backend-ca`';
    const key = objectKey(name.namespace, name.name);
    if (name.namespace !== meta.namespace && !this.#crossNamespace)
      return `Secret ${key} is in another namespace, so it is not used; name one in ${meta.namespace}, or set --allow-cross-namespace-secrets`;
    return (
      this.#secrets.get(key) ?? `there is no Secret ${key}, or Holdfast may not read it; create it, or correct the name`
    );
  }
}
