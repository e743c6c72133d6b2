/** Turns raw Kubernetes objects (parsed YAML or JSON, as yet untrusted) into the model, with a Problem for every bad field. */
import type { ObjectRef } from '../model/ids.ts';
import type { FieldLines } from '../model/lines.ts';
import type { Location, Problem } from '../model/problem.ts';
import type { Resource, ResourceKind } from '../model/resources.ts';
import { isRecord, Report, type ObjectFields, objectFields } from './project/fields.ts';
import { projectEndpointSlice } from './project/endpoint-slice.ts';
import { projectIngressClass } from './project/ingress-class.ts';
import { projectIngress } from './project/ingress.ts';
import { CLUSTER_SCOPED, readMeta } from './project/meta.ts';
import { projectSecret } from './project/secret.ts';
import { projectService } from './project/service.ts';
import { projectStickyPolicy } from './project/sticky-policy.ts';
import type { Projector } from './project/projector.ts';

export interface Projection {
  readonly ref: ObjectRef;
  /** undefined = the object is refused as a whole; `problems` says why. A StickyPolicy that can be told by its name is a RefusedPolicy then. */
  readonly resource: Resource | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Who wrote the object. A file's unknown fields are its author's mistakes, and the object is refused; the API server
 * has refused mistakes already, so there an unknown field comes from a newer version's schema, and dropping it beats
 * taking a policy down when that version is rolled back.
 */
export type Origin = 'file' | 'apiServer';

interface KnownKind {
  readonly apiVersion: string;
  readonly project: Projector;
}

const KNOWN_KINDS: Readonly<Record<ResourceKind, KnownKind>> = {
  Ingress: { apiVersion: 'networking.k8s.io/v1', project: projectIngress },
  IngressClass: { apiVersion: 'networking.k8s.io/v1', project: projectIngressClass },
  Service: { apiVersion: 'v1', project: projectService },
  EndpointSlice: { apiVersion: 'discovery.k8s.io/v1', project: projectEndpointSlice },
  Secret: { apiVersion: 'v1', project: projectSecret },
  StickyPolicy: { apiVersion: 'holdfast.dev/v1alpha1', project: projectStickyPolicy },
};

/** API groups whose kinds share a name with ours but are other things altogether, e.g. Knative's Service. */
function isForeignGroup(apiVersion: string, known: KnownKind): boolean {
  const group = (version: string): string => (version.includes('/') ? version.slice(0, version.indexOf('/')) : '');
  const retired = ['extensions', 'networking.k8s.io', 'discovery.k8s.io', ''];
  return group(apiVersion) !== group(known.apiVersion) && !retired.includes(group(apiVersion));
}

/**
 * Projects one object of any kind. undefined = a kind that is not watched (a Deployment, say), which is no problem.
 * `lines` says where the fields stand in the file of `location`. Never throws, whatever `raw` is; one bad part of an object leaves the rest of it in place where that makes sense.
 */
export function project(
  raw: unknown,
  location?: Location,
  lines?: FieldLines,
  origin: Origin = 'file',
): Projection | undefined {
  if (!isRecord(raw)) return refuseShape(raw, location);
  const kind = raw['kind'];
  if (typeof kind !== 'string' || kind === '') return refuseShape(raw, location);
  if (!Object.hasOwn(KNOWN_KINDS, kind)) return undefined;
  const known = KNOWN_KINDS[kind as ResourceKind];
  const apiVersion = raw['apiVersion'];
  if (typeof apiVersion === 'string' && isForeignGroup(apiVersion, known)) return undefined;

  const report = new Report(refOf(raw, kind), location, lines);
  if (apiVersion !== known.apiVersion) {
    report.error(
      'apiVersion',
      `${saidVersion(apiVersion)}; write \`apiVersion: ${known.apiVersion}\` for ${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`,
    );
    return { ref: report.ref, resource: undefined, problems: report.problems };
  }
  const object: ObjectFields = objectFields(raw, '', report);
  const meta = readMeta(object, kind as ResourceKind, report, location, lines);
  const resource = meta === undefined ? undefined : known.project(object, meta, report, origin);
  return { ref: report.ref, resource, problems: report.problems };
}

function saidVersion(apiVersion: unknown): string {
  return typeof apiVersion === 'string'
    ? `version ${JSON.stringify(apiVersion.slice(0, 80))} is not served`
    : 'the version is missing';
}

/** Names the object as well as it can be named before anything has been checked. */
function refOf(raw: Record<string, unknown>, kind: string): ObjectRef {
  const metadata = isRecord(raw['metadata']) ? raw['metadata'] : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const namespace = CLUSTER_SCOPED.has(kind) ? '' : text(metadata['namespace']) || 'default';
  return { kind, namespace, name: text(metadata['name']) };
}

function refuseShape(raw: unknown, location: Location | undefined): Projection {
  const report = new Report({ kind: '', namespace: '', name: '' }, location);
  if (isRecord(raw))
    report.error('kind', 'the kind is missing; write `kind: Ingress`, `kind: StickyPolicy` or another kind');
  else report.error('', 'this is not a Kubernetes object; write a mapping with `apiVersion`, `kind` and `metadata`');
  return { ref: report.ref, resource: undefined, problems: report.problems };
}
