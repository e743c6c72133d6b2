/** Projects an IngressClass. */
import type { IngressClass, Meta } from '../../model/resources.ts';
import type { ObjectFields } from './fields.ts';

const DEFAULT_CLASS = 'ingressclass.kubernetes.io/is-default-class';

export function projectIngressClass(object: ObjectFields, meta: Meta): IngressClass {
  return {
    kind: 'IngressClass',
    meta,
    // A class without a controller is legal and is nobody's.
    controller: object.object('spec')?.string('controller') ?? '',
    isDefault: meta.annotations[DEFAULT_CLASS] === 'true',
  };
}
