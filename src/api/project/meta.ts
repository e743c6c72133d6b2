/** Projects `metadata`, common to all kinds. */
import type { FieldLines } from '../../model/lines.ts';
import type { Location } from '../../model/problem.ts';
import type { Meta, ResourceKind } from '../../model/resources.ts';
import type { ObjectFields, Report } from './fields.ts';

/** Kinds without a namespace; whatever theirs says is ignored. */
export const CLUSTER_SCOPED: ReadonlySet<string> = new Set<ResourceKind>(['IngressClass']);

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** DNS subdomain: what all the kinds read here may be called. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** undefined = the object has no usable name, so nothing could refer to it. */
export function readMeta(
  object: ObjectFields,
  kind: ResourceKind,
  report: Report,
  location: Location | undefined,
  lines: FieldLines | undefined,
): Meta | undefined {
  const metadata = object.object('metadata');
  if (metadata === undefined) {
    if (!object.has('metadata')) report.error('metadata', 'this is missing; write `metadata: {name: …}`');
    return undefined;
  }
  const name = metadata.required('name', '`shop`');
  const namespace = CLUSTER_SCOPED.has(kind) ? '' : metadata.string('namespace') || 'default';
  if (name === undefined) return undefined;
  if (name.length > 253 || !NAME.test(name)) {
    report.error('metadata.name', 'this is not a name; write lower-case letters, digits, `-` and `.`, such as `shop`');
    return undefined;
  }
  if (namespace !== '' && !NAMESPACE.test(namespace)) {
    report.error(
      'metadata.namespace',
      'this is not a namespace; write lower-case letters, digits and `-`, such as `shop`',
    );
    return undefined;
  }
  return {
    namespace,
    name,
    uid: metadata.string('uid') ?? '',
    generation: metadata.integer('generation', 0, Number.MAX_SAFE_INTEGER) ?? 0,
    creationTimestamp: readTimestamp(metadata, report),
    annotations: metadata.stringMap('annotations'),
    labels: metadata.stringMap('labels'),
    ...(location === undefined ? {} : { location }),
    ...(lines === undefined ? {} : { lines }),
  };
}

function readTimestamp(metadata: ObjectFields, report: Report): number | undefined {
  // YAML readers may have made a date of an unquoted timestamp already.
  const raw = metadata.raw['creationTimestamp'];
  if (raw instanceof Date) return Number.isNaN(raw.getTime()) ? undefined : raw.getTime();
  const text = metadata.string('creationTimestamp');
  if (text === undefined) return undefined;
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(at)) return at;
  report.error(
    'metadata.creationTimestamp',
    'this is not a time; leave it out or write one such as `2026-01-31T12:00:00Z`',
  );
  return undefined;
}
