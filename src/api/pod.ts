/** Projects a pod's metadata: who it is, since when it drains, and which version it is. Nothing else of pods is ever read. */
import type { Problem } from '../model/problem.ts';
import type { Pod, PodVersion } from '../model/resources.ts';
import { isRecord, objectFields, Report } from './project/fields.ts';

/** By hand: `"true"`, or the time since when (RFC 3339). */
const DRAIN_ANNOTATION = 'holdfast.dev/drain';

/** Its id in cookies of format Plain. */
const COOKIE_VALUE_ANNOTATION = 'holdfast.dev/cookie-value';
const COOKIE_VALUE = /^[A-Za-z0-9._:-]{1,63}$/;

const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** undefined = the object has no name. Never throws, whatever `raw` is. */
export function projectPod(raw: unknown): { pod: Pod; problems: readonly Problem[] } | undefined {
  const metadata = isRecord(raw) && isRecord(raw['metadata']) ? raw['metadata'] : {};
  const text = (key: string): string => (typeof metadata[key] === 'string' ? metadata[key] : '');
  const namespace = text('namespace') || 'default';
  const name = text('name');
  if (name === '') return undefined;
  const report = new Report({ kind: 'Pod', namespace, name });
  const annotations = objectFields(metadata, 'metadata', report).object('annotations')?.raw ?? {};
  const pod: Pod = {
    namespace,
    name,
    uid: text('uid'),
    drainedSince: readMark(annotations[DRAIN_ANNOTATION], report),
    deletedSince: deletionAsked(metadata),
    cookieValue: readCookieValue(annotations[COOKIE_VALUE_ANNOTATION], report),
    version: readVersion(metadata),
  };
  return { pod, problems: report.problems };
}

function readMark(mark: unknown, report: Report): number | undefined {
  if (mark === undefined || mark === null || mark === '' || mark === 'false') return undefined;
  if (mark === 'true') return 0;
  const time = typeof mark === 'string' && TIME.test(mark) ? Date.parse(mark) : NaN;
  if (!Number.isNaN(time)) return time;
  report.warning(
    `metadata.annotations[${DRAIN_ANNOTATION}]`,
    'this is no drain mark, so the pod is not drained; write "true" or the time since when, such as "2026-01-31T12:00:00Z"',
  );
  return undefined;
}

function readCookieValue(value: unknown, report: Report): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string' && COOKIE_VALUE.test(value)) return value;
  report.warning(
    `metadata.annotations[${COOKIE_VALUE_ANNOTATION}]`,
    "this is no value for a cookie, so the pod's name is used; write at most 63 letters, digits, `.`, `_`, `:` and `-`",
  );
  return undefined;
}

/** Of ReplicaSets' pods, then of StatefulSets' and DaemonSets'. */
const VERSION_LABELS = ['pod-template-hash', 'controller-revision-hash'];

/** A label's value is at most 63 characters (ObjectMeta v1 API reference); whatever else stands there says nothing. */
const VERSION = /^[A-Za-z0-9._-]{1,63}$/;

const MAX_SHARED = 10_000;
/** One string for all pods of a version. */
const shared = new Map<string, string>();

function readVersion(metadata: Readonly<Record<string, unknown>>): PodVersion | undefined {
  const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
  const values = VERSION_LABELS.map((label) => labels[label]);
  const version = values.find((value): value is string => typeof value === 'string' && VERSION.test(value));
  if (version === undefined) return undefined;
  const known = shared.get(version);
  if (known === undefined) {
    if (shared.size >= MAX_SHARED) shared.clear();
    shared.set(version, version);
  }
  const at = metadata['creationTimestamp'];
  const created = typeof at === 'string' && TIME.test(at) ? Date.parse(at) : NaN;
  return { version: known ?? version, created: Number.isNaN(created) ? 0 : created };
}

/** `deletionTimestamp` is when the grace period will be over (ObjectMeta v1 API reference), not when deletion was asked for. */
function deletionAsked(metadata: Readonly<Record<string, unknown>>): number | undefined {
  const { deletionTimestamp: end, deletionGracePeriodSeconds: grace } = metadata;
  const time = typeof end === 'string' && TIME.test(end) ? Date.parse(end) : NaN;
  if (Number.isNaN(time)) return undefined;
  return time - (typeof grace === 'number' && grace > 0 ? grace * 1000 : 0);
}
