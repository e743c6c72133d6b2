/** Projects a StickyPolicy: all of it or nothing, because a policy that half applies is not what its author asked for. */
import type { Meta, RefusedPolicy, StickyPolicy } from '../../model/resources.ts';
import type { TargetRef } from '../../model/sticky-policy.ts';
import { nearest } from '../../model/nearest.ts';
import type { Origin } from '../project.ts';
import { dropUnknown, fieldPath, validateSpec } from '../validate.ts';
import { isRecord, type ObjectFields, type Report } from './fields.ts';

const TARGET_GROUPS: ReadonlyMap<string, string> = new Map([
  ['Ingress', 'networking.k8s.io'],
  ['Service', ''],
]);
/** As many as the schema allows. */
const MAX_TARGETS = 16;
const TOP_LEVEL = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

export function projectStickyPolicy(
  object: ObjectFields,
  meta: Meta,
  report: Report,
  origin: Origin,
): StickyPolicy | RefusedPolicy {
  if (!object.has('spec')) {
    report.error('spec', 'this is missing; write `spec: {targetRefs: […]}`');
    return { kind: 'StickyPolicy', meta, refused: true, targetRefs: [] };
  }
  return origin === 'file' ? readStrictly(object, meta, report) : readLoosely(object, meta, report);
}

function readStrictly(object: ObjectFields, meta: Meta, report: Report): StickyPolicy | RefusedPolicy {
  const unknown = Object.keys(object.raw).filter((key) => !TOP_LEVEL.includes(key));
  for (const key of unknown) {
    report.error(object.at(key), `this field is not known; did you mean \`${nearest(key, TOP_LEVEL) ?? 'spec'}\`?`);
  }
  const { spec, findings } = validateSpec(object.raw['spec']);
  for (const finding of findings ?? []) report.error(fieldPath('spec', finding.path), finding.message);
  if (spec !== undefined && unknown.length === 0) return { kind: 'StickyPolicy', meta, spec };
  return refusedPolicy(object, meta);
}

function refusedPolicy(object: ObjectFields, meta: Meta): RefusedPolicy {
  return { kind: 'StickyPolicy', meta, refused: true, targetRefs: readableTargets(object.raw['spec']) };
}

/** What a refused policy was meant for; nothing is reported, since the schema has done that. */
function readableTargets(spec: unknown): TargetRef[] {
  const refs = isRecord(spec) && Array.isArray(spec['targetRefs']) ? (spec['targetRefs'] as readonly unknown[]) : [];
  return refs.slice(0, MAX_TARGETS).flatMap((ref): TargetRef[] => {
    if (!isRecord(ref)) return [];
    const { kind, name, sectionName } = ref;
    // The kind says which group is meant, even when the group is what is wrong.
    const group = typeof kind === 'string' ? TARGET_GROUPS.get(kind) : undefined;
    if (group === undefined || typeof kind !== 'string' || typeof name !== 'string') return [];
    if (sectionName !== undefined && sectionName !== null && typeof sectionName !== 'string') return [];
    return [{ group, kind, name, ...(typeof sectionName === 'string' ? { sectionName } : {}) }];
  });
}

/** Without what only another version knows; what is left must be a whole policy. */
function readLoosely(object: ObjectFields, meta: Meta, report: Report): StickyPolicy | RefusedPolicy {
  const { known, dropped } = dropUnknown(object.raw['spec']);
  for (const path of dropped) {
    report.warning(
      fieldPath('spec', path),
      'this version does not know the field and goes on without it; upgrade to use it, or remove it',
    );
  }
  const { spec, findings } = validateSpec(known);
  for (const finding of findings ?? []) report.error(fieldPath('spec', finding.path), finding.message);
  return spec === undefined ? refusedPolicy(object, meta) : { kind: 'StickyPolicy', meta, spec };
}
