/** Who may list and change sessions. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authorize } from '../../../src/control/authorize.ts';
import type { KubeRequest, KubeResponse } from '../../../src/source/kubernetes/client.ts';

let dir: string;
let tokenFile: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-token-'));
  tokenFile = join(dir, 'token');
  writeFileSync(tokenFile, 'the-token\n');
});
afterAll(() => rmSync(dir, { recursive: true }));

/** An API server that knows `alice`, who may only read, and what it was asked. */
const asked: unknown[] = [];
const api = {
  request: async (method: string, path: string, options: KubeRequest = {}): Promise<KubeResponse> => {
    const { spec } = options.body as { spec: Record<string, unknown> };
    asked.push([method, path, spec]);
    const verb = (spec['nonResourceAttributes'] as { verb?: string } | undefined)?.verb;
    const status = path.endsWith('tokenreviews')
      ? { authenticated: spec['token'] === 'alice', user: { username: 'alice', groups: ['staff'] } }
      : { allowed: verb === 'get' };
    const text = JSON.stringify({ status });
    return { status: 201, headers: {}, text, json: () => JSON.parse(text) as unknown };
  },
};

const caller = (authorization?: string, loopback = false) => ({ target: '/api/v1/sessions', authorization, loopback });
const CLUSTER = { standalone: false, tokenFile: undefined, reviewer: () => api };

test('who is on this machine may, without a cluster', async () => {
  const standalone = { standalone: true, tokenFile: undefined, reviewer: () => undefined };
  expect(await authorize(standalone, caller(undefined, true), 'post')).toBeUndefined();
  expect(await authorize(standalone, caller(), 'get')).toMatchObject({
    status: 401,
    error: expect.stringContaining('start it with --admin-token-file') as string,
  });
  expect((await authorize(CLUSTER, caller(undefined, true), 'get'))?.status).toBe(401);
});

test('who has the token of the file may, as it is now', async () => {
  const by = { standalone: false, tokenFile, reviewer: () => undefined };
  expect(await authorize(by, caller('Bearer the-token'), 'post')).toBeUndefined();
  expect((await authorize(by, caller('Bearer the-tokem'), 'post'))?.status).toBe(401);
  expect((await authorize(by, caller('Basic the-token'), 'post'))?.status).toBe(401);
  writeFileSync(tokenFile, '');
  expect((await authorize(by, caller('Bearer x'), 'post'))?.status).toBe(401);
  expect((await authorize(by, caller('Bearer '), 'post'))?.status).toBe(401);
  writeFileSync(tokenFile, 'another');
  expect(await authorize(by, caller('Bearer another'), 'post')).toBeUndefined();
});

describe('in a cluster the API server says who may', () => {
  test('an account with the right to the path', async () => {
    asked.length = 0;
    expect(await authorize(CLUSTER, caller('Bearer alice'), 'get')).toBeUndefined();
    expect(asked).toEqual([
      ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', { token: 'alice' }],
      [
        'POST',
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        { user: 'alice', groups: ['staff'], nonResourceAttributes: { path: '/api/v1/sessions', verb: 'get' } },
      ],
    ]);
  });

  test('others are told which right they lack, and no token is said', async () => {
    const lacking = await authorize(CLUSTER, caller('Bearer alice'), 'post');
    expect(lacking).toMatchObject({ status: 403, error: expect.stringContaining('verbs: [post]') as string });
    const unknown = await authorize(CLUSTER, caller('Bearer mallory-secret'), 'get');
    expect(unknown).toEqual({ status: 401, error: 'the cluster does not know this token' });
  });

  test('an API server that is away or refuses lets nobody in', async () => {
    const away = { ...CLUSTER, reviewer: () => ({ request: () => Promise.reject(new Error('away')) }) };
    expect((await authorize(away, caller('Bearer alice'), 'get'))?.status).toBe(503);
    const forbidden = { status: 403, headers: {}, text: '{}', json: () => ({}) };
    const refuses = { ...CLUSTER, reviewer: () => ({ request: () => Promise.resolve(forbidden) }) };
    expect((await authorize(refuses, caller('Bearer alice'), 'get'))?.status).toBe(503);
  });
});
