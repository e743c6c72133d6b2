/** What is read of a pod's metadata to know its version. */
import { expect, test } from 'vitest';
import { projectPod } from '../../../src/api/pod.ts';

function versionOf(labels: unknown, creationTimestamp?: unknown): unknown {
  return projectPod({ metadata: { namespace: 'ns', name: 'a', uid: 'u', labels, creationTimestamp } })?.pod.version;
}

const AT = '2030-01-01T00:00:00Z';
const created = Date.parse(AT);

test.each([
  ['a ReplicaSet', { 'pod-template-hash': '7d4b9c', app: 'web' }, { version: '7d4b9c', created }],
  ['a StatefulSet', { 'controller-revision-hash': 'db-5f6' }, { version: 'db-5f6', created }],
  ['both', { 'controller-revision-hash': 'x', 'pod-template-hash': 'y' }, { version: 'y', created }],
  ['an unreadable first label', { 'pod-template-hash': 7, 'controller-revision-hash': 'x' }, { version: 'x', created }],
  ['an empty one', { 'pod-template-hash': '' }, undefined],
  ['one that is no label', { 'pod-template-hash': 'a b' }, undefined],
  ['nothing', { app: 'web' }, undefined],
  ['no labels', undefined, undefined],
  ['labels that are a list', ['x'], undefined],
])('the version of a pod of %s', (_title, labels, expected) => {
  expect(versionOf(labels, AT)).toEqual(expected);
});

test('a pod that does not say when it was made is the oldest', () => {
  for (const time of [undefined, 'yesterday', 5]) {
    expect(versionOf({ 'pod-template-hash': 'v' }, time)).toEqual({ version: 'v', created: 0 });
  }
});
