/** The API server refuses what the program refuses and accepts what it accepts, by the CRD alone; of expressions it sees their lengths. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ACCEPTED, REFUSED, REFUSED_BY_THE_PROGRAM } from '../unit/api/policies.ts';
import { api, established, kubectl, ROOT } from './support/kube.ts';

const CREATE = '/apis/holdfast.dev/v1alpha1/namespaces/default/stickypolicies?dryRun=All&fieldValidation=Strict';

async function create(spec: unknown): Promise<{ status: number; text: string }> {
  const metadata = { name: 'one', namespace: 'default' };
  return await api('POST', CREATE, { apiVersion: 'holdfast.dev/v1alpha1', kind: 'StickyPolicy', metadata, spec });
}

beforeAll(async () => {
  await kubectl(['apply', '--server-side', '-f', join(ROOT, 'manifests/crds/holdfast.dev_stickypolicies.yaml')]);
  await established('stickypolicies.holdfast.dev');
});

test('there are enough of them', () => {
  expect(ACCEPTED.length + REFUSED.length).toBeGreaterThanOrEqual(60);
});

const TAKEN = [...ACCEPTED, ...REFUSED_BY_THE_PROGRAM.map(([title, spec]) => [title, spec] as const)];

describe('accepted', () => {
  test.each(TAKEN)('%s', async (_, spec) => {
    const { status, text } = await create(spec);
    expect(text).not.toContain('"status":"Failure"');
    expect(status).toBe(201);
  });
});

describe('refused', () => {
  test.each(REFUSED)('%s', async (_, spec, field) => {
    const { status, text } = await create(spec);
    expect([400, 422], text).toContain(status);
    expect((JSON.parse(text) as { message: string }).message).toContain(field === '' ? 'spec' : `spec.${field}`);
  });
});
