/** The Secrets that annotations of an Ingress name, beside those of its `spec.tls`. */
import type { ObjectRef } from '../../model/ids.ts';
import type { Meta } from '../../model/resources.ts';
import { NGINX_PREFIX } from './foreign.ts';
import { ANNOTATIONS, PREFIX } from './table.ts';

/** Names of annotations, whole; their values are read by `secretName`. */
const SECRET_ANNOTATIONS: readonly string[] = [
  PREFIX + ANNOTATIONS.authTlsSecret.name,
  PREFIX + ANNOTATIONS.backendTlsSecret.name,
  `${NGINX_PREFIX}proxy-ssl-secret`,
];

export type SecretName = Omit<ObjectRef, 'kind'>;

/** `NAMESPACE/NAME`, as in ingress-nginx, or a name in the Ingress's own namespace; undefined = it is neither. */
export function secretName(text: string, own: string): SecretName | undefined {
  const match = /^(?:([a-z0-9][-a-z0-9]{0,62})\/)?([a-z0-9][-a-z0-9.]{0,252})$/.exec(text.trim());
  const [, namespace = own, name] = match ?? [];
  return name === undefined ? undefined : { namespace, name };
}

/** All that can be read, each as often as it is named. */
export function secretsNamed({ annotations, namespace }: Meta): SecretName[] {
  return SECRET_ANNOTATIONS.flatMap((annotation) => {
    const text = annotations[annotation];
    return text === undefined ? [] : (secretName(text, namespace) ?? []);
  });
}
