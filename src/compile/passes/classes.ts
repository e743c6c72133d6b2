/** Pass 1: which Ingresses are ours, oldest first. */
import type { Ingress, IngressClass } from '../../model/resources.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { objectKey } from '../../model/ids.ts';
import type { CompileOptions } from '../options.ts';
import { oldestFirst } from '../order.ts';
import type { ProblemReport } from '../report.ts';

/** Deprecated, but "it must be given precedence over" `spec.ingressClassName` when set (Ingress v1 API reference). */
const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';

/** Ingresses of other classes are somebody else's: nothing is said about them. */
export function selectIngresses(snapshot: Snapshot, options: CompileOptions, report: ProblemReport): Ingress[] {
  const classes = [...snapshot.ingressClasses.values()];
  const ours = (object: IngressClass): boolean => object.controller === options.controllerName;
  const classless = options.watchIngressWithoutClass || classes.some((object) => object.isDefault && ours(object));
  const namespaces = watched(options);

  const selected: Ingress[] = [];
  for (const ingress of snapshot.ingresses.values()) {
    if (!namespaces(ingress.meta.namespace)) continue;
    const name = ingress.meta.annotations[CLASS_ANNOTATION] ?? ingress.className;
    if (name === undefined || name === '') {
      if (classless) selected.push(ingress);
      else if (!options.inCluster && classes.length === 0) reportClassless(ingress, options, report);
      continue;
    }
    const object = snapshot.ingressClasses.get(objectKey('', name));
    if (object === undefined ? name === options.ingressClass : ours(object)) selected.push(ingress);
  }
  return oldestFirst(selected);
}

export function watched(options: CompileOptions): (namespace: string) => boolean {
  const only = new Set(options.watchNamespaces);
  return only.size === 0 ? () => true : (namespace) => only.has(namespace);
}

/** In a folder of manifests there is no other controller whose Ingress it could be. */
function reportClassless(ingress: Ingress, options: CompileOptions, report: ProblemReport): void {
  report.warning(
    ingress,
    'spec.ingressClassName',
    `The Ingress names no class, so it is not served; write \`ingressClassName: ${options.ingressClass}\` or use --watch-ingress-without-class.`,
  );
}
