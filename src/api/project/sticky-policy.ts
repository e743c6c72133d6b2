/** Projects a StickyPolicy: all of it or nothing, because a policy that half applies is not what its author asked for. */
import type { Meta, StickyPolicy } from '../../model/resources.ts';
import { nearest } from '../../model/nearest.ts';
import { fieldPath, validateSpec } from '../validate.ts';
import type { ObjectFields, Report } from './fields.ts';

const TOP_LEVEL = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

export function projectStickyPolicy(object: ObjectFields, meta: Meta, report: Report): StickyPolicy | undefined {
  const unknown = Object.keys(object.raw).filter((key) => !TOP_LEVEL.includes(key));
  for (const key of unknown) {
    report.error(object.at(key), `this field is not known; did you mean \`${nearest(key, TOP_LEVEL) ?? 'spec'}\`?`);
  }
  if (!object.has('spec')) {
    report.error('spec', 'this is missing; write `spec: {targetRefs: […]}`');
    return undefined;
  }
  const { spec, findings } = validateSpec(object.raw['spec']);
  for (const finding of findings ?? []) report.error(fieldPath('spec', finding.path), finding.message);
  return spec === undefined || unknown.length > 0 ? undefined : { kind: 'StickyPolicy', meta, spec };
}
