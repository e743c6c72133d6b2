/** The cluster source against a real HTTP server that speaks list and watch, and fails in every way on order. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { status, type ApiServer, type Fault } from './api-server.ts';
import { begin, FAST, ingress, pod, policy, type Fixture } from './harness.ts';

let fixture: Fixture | undefined;

afterEach(async () => {
  await fixture?.end();
  fixture = undefined;
});

async function start(...args: Parameters<typeof begin>): Promise<Fixture> {
  fixture = await begin(...args);
  return fixture;
}

async function synced(...args: Parameters<typeof begin>): Promise<Fixture> {
  const started = await start(...args);
  await started.told.until(() => started.told.synced === 1);
  return started;
}

function many(server: ApiServer, count: number): void {
  for (let i = 0; i < count; i++) server.put(ingress(`i${String(i).padStart(4, '0')}`));
}

type Wanted = (seen: { path: string; query: URLSearchParams }) => boolean;

const isList = (plural: string): Wanted => {
  return ({ path, query }) => path.endsWith(`/${plural}`) && query.get('watch') === null;
};

const isWatch = (plural: string): Wanted => {
  return ({ path, query }) => path.endsWith(`/${plural}`) && query.get('watch') === 'true';
};

/** Answers one request with a Status. */
function answer(when: Wanted, code: number, headers: Record<string, string> = {}): Fault {
  return (seen, response) => {
    if (!when(seen)) return false;
    status(response, code, `told to answer ${code}`, '', headers);
    return true;
  };
}

describe('list', () => {
  test('comes in pages, and synced only when every kind is there', async () => {
    const { told, server, source } = await synced((api) => many(api, 1234));
    expect(told.names('Ingress')).toHaveLength(1234);
    expect(told.events.at(-1)).toEqual({ type: 'synced' });
    const pages = server.requests.filter(isList('ingresses'));
    expect(pages.map(({ query }) => query.get('limit'))).toEqual(['500', '500', '500']);
    expect(pages[0]?.query.get('resourceVersion')).toBeNull();
    expect(source.unsynced()).toEqual([]);
  });

  test('names the kinds that are not synced, and what to do about it', async () => {
    const refuse = (api: ApiServer) => {
      for (let i = 0; i < 1000; i++) api.faults.push(answer(isList('stickypolicies'), 404));
    };
    const { told, source, server, logged } = await start(refuse);
    await told.until(() => told.problems.size > 0 && source.unsynced().length === 1);
    expect(source.unsynced()).toEqual(['StickyPolicy']);
    expect(told.synced).toBe(0);
    const [problems] = told.problems.values();
    expect(problems?.[0]).toMatchObject({ severity: 'error', object: { kind: 'StickyPolicy' } });
    expect(problems?.[0]?.message).toContain(
      'install the CustomResourceDefinition stickypolicies.holdfast.dev: kubectl',
    );
    server.faults.length = 0;
    await told.until(() => told.synced === 1 && told.problems.size === 0);
    expect(source.unsynced()).toEqual([]);
    expect(logged.filter((line) => line.includes('watching failed'))).toHaveLength(1);
  });

  test('a kind whose CRD is missing for a while counts as empty, and is taken up when it is there', async () => {
    const prepare = (api: ApiServer) => {
      for (let i = 0; i < 1000; i++) api.faults.push(answer(isList('stickypolicies'), 404));
      many(api, 3);
    };
    const { told, source, server, logged } = await start(prepare, { timing: { ...FAST, missing: 60 } });
    await told.until(() => told.synced === 1);
    expect(source.unsynced()).toEqual([]);
    expect(server.requests.filter(isList('stickypolicies')).length).toBeGreaterThan(2);
    expect([...told.problems.values()].flat()).toMatchObject([{ object: { kind: 'StickyPolicy' } }]);
    expect(logged.filter((line) => line.includes('watching failed'))).toHaveLength(1);
    server.put(policy('late', {}));
    server.faults.length = 0;
    await told.until(() => told.names('StickyPolicy').length === 1 && told.problems.size === 0);
    expect(told.synced).toBe(1);
  });

  test('other failures in between say nothing about the kind, and a kind of Kubernetes itself is waited for', async () => {
    let turn = 0;
    const prepare = (api: ApiServer) => {
      for (let i = 0; i < 1000; i++) {
        api.faults.push(
          (seen, response) =>
            isList('stickypolicies')(seen) &&
            answer(isList('stickypolicies'), turn++ % 2 === 0 ? 404 : 500)(seen, response),
        );
        api.faults.push(answer(isList('services'), 404));
      }
    };
    const { told, source, server } = await start(prepare, { timing: { ...FAST, missing: 15 } });
    await told.until(() => server.requests.filter(isList('stickypolicies')).length > 20);
    await told.until(() => server.requests.filter(isList('services')).length > 20);
    expect(source.unsynced().sort()).toEqual(['Service', 'StickyPolicy']);
  });

  test('that fails halfway deletes nothing and starts again', async () => {
    const { told, server } = await synced((api) => many(api, 1100));
    server.remove('Ingress', 'shop', 'i0001');
    await told.until(() => told.names('Ingress').length === 1099);
    const half: Wanted = (seen) => isList('ingresses')(seen) && seen.query.has('continue');
    server.faults.push(answer(half, 500), (seen, response) => {
      if (!half(seen)) return false;
      response.destroy();
      return true;
    });
    server.endWatches('reset');
    server.remove('Ingress', 'shop', 'i0002');
    server.compact();
    await told.until(() => told.names('Ingress').length === 1098);
    const before = told.events.length;
    await told.until(() => server.watches('Ingress') === 1);
    expect(told.events.slice(before).filter(({ type }) => type === 'delete')).toEqual([]);
    expect(told.synced).toBe(1);
  });

  test('that expires between its pages is asked for in one piece', async () => {
    let expired = false;
    const { told, server } = await synced((api) => {
      many(api, 700);
      api.faults.push((seen, response) => {
        if (!isList('ingresses')(seen) || !seen.query.has('continue')) return false;
        status(response, 410, 'the continue token has expired', 'Expired');
        expired = true;
        return true;
      });
    });
    expect(expired).toBe(true);
    expect(told.names('Ingress')).toHaveLength(700);
    expect(server.requests.filter(isList('ingresses')).at(-1)?.query.has('limit')).toBe(false);
  });

  test.each([
    '{}',
    '[]',
    '{"kind":"IngressList","metadata":{}}',
    '<html>',
    '{"kind":"Status","metadata":{"resourceVersion":"1"}}',
  ])('something else is never taken for an empty one: %s', async (text) => {
    const { told, server } = await synced((api) => many(api, 3));
    let answered = 0;
    const nonsense: Fault = (seen, response) => {
      if (!isList('ingresses')(seen)) return false;
      response.end(text);
      answered++;
      return true;
    };
    server.faults.push(nonsense, nonsense);
    server.compact();
    server.put(ingress('new'));
    server.compact();
    server.endWatches('reset');
    await told.until(() => answered === 2 && told.names('Ingress').length === 4);
    expect(told.events.filter(({ type }) => type === 'delete')).toEqual([]);
  });

  test('with namespaces asks for nothing that a Role cannot grant', async () => {
    const { server, told } = await synced(
      (api) => {
        api.put(ingress('a', 'a.test', 'shop'));
        api.put(ingress('b', 'b.test', 'api'));
        api.put(ingress('c', 'c.test', 'other'));
      },
      { namespaces: ['shop', 'api'] },
    );
    expect(told.names('Ingress')).toEqual(['Ingress api/b', 'Ingress shop/a']);
    expect(server.requests.every(({ path }) => /\/namespaces\/(shop|api)\//.test(path))).toBe(true);
    expect(server.requests.some(({ path }) => path.includes('ingressclasses'))).toBe(false);
  });
});

describe('watch', () => {
  test('tells additions, changes and deletions, without what kubectl and managers leave on objects', async () => {
    const { told, server } = await synced();
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'holdfast.dev/affinity': 'cookie' };
    const object = ingress('a');
    server.put({ ...object, metadata: { ...object.metadata, annotations, managedFields: [{ manager: 'x' }] } });
    await told.until(() => told.names('Ingress').length === 1);
    expect(told.objects.get('Ingress shop/a')).toMatchObject({
      meta: { annotations: { 'holdfast.dev/affinity': 'cookie' } },
    });
    expect(JSON.stringify(told.events)).not.toMatch(/managedFields|last-applied/);
    server.put(ingress('a', 'other.test'));
    await told.until(() => JSON.stringify(told.objects.get('Ingress shop/a')).includes('other.test'));
    server.remove('Ingress', 'shop', 'a');
    await told.until(() => told.names('Ingress').length === 0);
  });

  test('asks for bookmarks and goes on from the last one', async () => {
    const { told, server } = await synced();
    await told.until(() => server.watches('Ingress') === 1);
    server.put(policy('p', { rules: [{ name: 'c', cookie: { mode: 'Insert' } }] }));
    server.bookmark('Ingress');
    const before = server.requests.length;
    const after = () => server.requests.slice(before).filter(isWatch('ingresses'));
    server.endWatches('end');
    await told.until(() => after().length === 1);
    const query = after()[0]?.query;
    expect(query?.get('allowWatchBookmarks')).toBe('true');
    expect(query?.get('resourceVersion')).toBe('101');
    expect(Number(query?.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
    expect(Number(query?.get('timeoutSeconds'))).toBeLessThan(600);
    expect(server.requests.slice(before).filter(isList('ingresses'))).toEqual([]);
  });

  test('closed after every second event it misses nothing and never lists again', async () => {
    const { told, server, source } = await synced((api) => (api.closeEvery = 2));
    many(server, 200);
    await told.until(() => told.names('Ingress').length === 200);
    expect(source.watches().map(({ relists }) => relists)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test.each(['by status', 'in the stream'])('410 %s lists again, and what is gone meanwhile goes', async (how) => {
    const { told, server, source } = await synced((api) => many(api, 5));
    await told.until(() => server.watches('Ingress') === 1);
    if (how === 'by status') server.endWatches('reset');
    else {
      const object = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410, message: 'too old' };
      server.say('Ingress', `${JSON.stringify({ type: 'ERROR', object })}\n`);
    }
    server.remove('Ingress', 'shop', 'i0003');
    server.put(ingress('new'));
    server.compact();
    await told.until(() => told.objects.has('Ingress shop/new') && !told.objects.has('Ingress shop/i0003'));
    await told.until(() => source.watches().every(({ connected }) => connected));
    expect(source.watches().find(({ kind }) => kind === 'Ingress')?.relists).toBe(1);
    expect(told.synced).toBe(1);
  });

  test('another error in the stream goes on from where it was', async () => {
    const { told, server, source } = await synced((api) => many(api, 2));
    await told.until(() => server.watches('Ingress') === 1);
    server.say('Ingress', '{"type":"ERROR","object":{"code":500,"message":"etcd is slow"}}\n');
    server.put(ingress('new'));
    await told.until(() => told.objects.has('Ingress shop/new'));
    expect(source.watches().every(({ relists }) => relists === 0)).toBe(true);
  });

  test('a broken object among good ones is a Problem, and the stream goes on', async () => {
    const { told, server } = await synced();
    await told.until(() => server.watches('Ingress') === 1);
    const before = server.requests.length;
    server.put(ingress('a'));
    server.put({ ...ingress('bad'), spec: 'nonsense' });
    server.say('Ingress', '{"type":"ADDED","object":5}\n{"type":"ADDED"}\n{"type":"NEWTYPE","object":{}}\n\n');
    server.put(ingress('z'));
    await told.until(() => told.objects.has('Ingress shop/z'));
    expect(told.problems.get('Ingress shop/bad')?.[0]).toMatchObject({ severity: 'error', field: 'spec' });
    expect(told.objects.get('Ingress shop/bad')).toBeUndefined();
    expect([...told.problems.values()].flat().some(({ message }) => message.includes('without a name'))).toBe(true);
    expect(server.requests.slice(before).filter(isWatch('ingresses'))).toEqual([]);
  });

  test('a line that is no JSON, or never ends, makes it list again', async () => {
    const { told, server, source } = await synced(() => undefined, { timing: { ...FAST, line: 10_000 } });
    const relists = () => source.watches().find(({ kind }) => kind === 'Ingress')?.relists;
    await told.until(() => server.watches('Ingress') === 1);
    server.say('Ingress', '{"type":"ADD\n');
    await told.until(() => relists() === 1 && server.watches('Ingress') === 1);
    server.say('Ingress', 'x'.repeat(20_000));
    await told.until(() => relists() === 2 && server.watches('Ingress') === 1);
    server.put(ingress('a'));
    await told.until(() => told.objects.has('Ingress shop/a'));
  });

  test('cut in the middle of a line it takes no half object', async () => {
    const { told, server, source } = await synced();
    await told.until(() => server.watches('Ingress') === 1);
    server.say('Ingress', JSON.stringify({ type: 'ADDED', object: ingress('half') }).slice(0, -5));
    server.endWatches('end');
    server.put(ingress('a'));
    await told.until(() => told.objects.has('Ingress shop/a'));
    expect(told.names('Ingress')).toEqual(['Ingress shop/a']);
    expect(source.watches().every(({ relists }) => relists === 0)).toBe(true);
  });

  test('that falls silent is opened anew', async () => {
    const { told, server } = await synced(() => undefined, { timing: { ...FAST, silence: 60 } });
    await told.until(() => server.requests.filter(isWatch('ingresses')).length >= 3);
    server.put(ingress('a'));
    await told.until(() => told.objects.has('Ingress shop/a'));
    expect(server.requests.filter(isList('ingresses'))).toHaveLength(1);
  });

  test('that never answers is given up', async () => {
    const { told, server } = await synced(() => undefined, { timing: { ...FAST, answer: 50 } });
    await told.until(() => server.watches('Ingress') === 1);
    server.faults.push((seen) => isWatch('ingresses')(seen));
    server.endWatches('reset');
    server.put(ingress('a'));
    await told.until(() => told.objects.has('Ingress shop/a'));
  });

  test('an API server that is away and comes back costs no list', async () => {
    const { told, server, source } = await synced((api) => many(api, 3));
    await told.until(() => source.watches().every(({ connected }) => connected));
    await server.close();
    await told.until(() => source.watches().every(({ connected }) => !connected));
    const [{ lastEventAge: age = 0 } = {}] = source.watches();
    await told.until(() => (source.watches()[0]?.lastEventAge ?? 0) > age);
    expect(told.names('Ingress')).toHaveLength(3);
    server.put(ingress('meanwhile'));
    await server.listen();
    await told.until(() => told.objects.has('Ingress shop/meanwhile'));
    await told.until(() => source.watches().every(({ connected }) => connected));
    expect(source.watches().every(({ relists }) => relists === 0)).toBe(true);
  });
});

describe('waiting', () => {
  test('429 with Retry-After is obeyed', async () => {
    const { server, told } = await synced((api) => {
      api.faults.push(answer(isList('ingresses'), 429, { 'retry-after': '1' }));
    });
    const [first, second] = server.requests.filter(isList('ingresses'));
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(990);
    expect(told.synced).toBe(1);
  });

  test('a watch that ends at once every time does not spin', async () => {
    const slow = { ...FAST, first: 20, most: 10_000, mostUnreachable: 10_000, settled: 1000 };
    const { server, told } = await synced(() => undefined, { timing: slow, random: () => 1 });
    const end: Fault = (seen, response) => {
      if (!isWatch('ingresses')(seen)) return false;
      response.writeHead(200);
      response.end();
      return true;
    };
    for (let i = 0; i < 4; i++) server.faults.push(end);
    await told.until(() => server.watches('Ingress') === 1);
    server.endWatches('end');
    await told.until(() => server.faults.length === 0);
    const times = server.requests.filter(isWatch('ingresses')).map(({ at }) => at);
    const waits = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    // The first one ended with nothing said; 20, 40, 80, 160 ms follow.
    expect(waits.at(-1)).toBeGreaterThanOrEqual(79);
  });
});

describe('credentials', () => {
  test('a rotated token file is read again when the old token is refused', async () => {
    const { told, server, dir } = await synced(
      (api, folder) => {
        api.token = 'old';
        writeFileSync(join(folder, 'token'), 'old');
      },
      { user: { tokenFile: 'token' } },
    );
    writeFileSync(join(dir, 'token'), 'new');
    server.token = 'new';
    server.endWatches('reset');
    server.put(ingress('a'));
    await told.until(() => told.objects.has('Ingress shop/a'));
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer new');
  });

  test('a kubeconfig that was written anew counts too', async () => {
    const { told, server, dir } = await synced((api) => (api.token = 'old'), { user: { token: 'old' } });
    server.token = 'new';
    server.endWatches('reset');
    await told.until(() => [...told.problems.values()].flat().some(({ message }) => message.includes('credentials')));
    expect(told.names('Ingress')).toEqual([]);
    server.kubeconfig(join(dir, 'config'), { token: 'new' });
    server.put(ingress('a'));
    await told.until(() => told.objects.has('Ingress shop/a') && told.problems.size === 0);
  });
});

describe('what is projected', () => {
  test('pods: metadata only, to their marks', async () => {
    const { told, server } = await synced((api) => {
      api.put(pod('plain'));
      api.put(pod('marked', { annotations: { 'holdfast.dev/drain': 'true' } }));
      api.put(pod('since', { annotations: { 'holdfast.dev/drain': '2026-01-31T12:00:00Z' } }));
      api.put(pod('bad', { annotations: { 'holdfast.dev/drain': 'yes' } }));
      api.put(pod('named', { annotations: { 'holdfast.dev/cookie-value': 'app-1' } }));
      api.put(pod('misnamed', { annotations: { 'holdfast.dev/cookie-value': 'a; b' } }));
      const deletionTimestamp = '2026-01-31T12:00:30Z';
      api.put(pod('going', { deletionTimestamp, deletionGracePeriodSeconds: 30 }));
    });
    const noon = Date.UTC(2026, 0, 31, 12);
    expect(told.objects.get('Pod shop/plain')).toMatchObject({ uid: 'uid-plain', drainedSince: undefined });
    expect(told.objects.get('Pod shop/marked')).toMatchObject({ drainedSince: 0 });
    expect(told.objects.get('Pod shop/since')).toMatchObject({ drainedSince: noon, deletedSince: undefined });
    expect(told.objects.get('Pod shop/going')).toMatchObject({ drainedSince: undefined, deletedSince: noon });
    expect(told.objects.get('Pod shop/bad')).toMatchObject({ drainedSince: undefined });
    expect(told.problems.get('Pod shop/bad')?.[0]?.field).toBe('metadata.annotations[holdfast.dev/drain]');
    expect(told.objects.get('Pod shop/named')).toMatchObject({ cookieValue: 'app-1', drainedSince: undefined });
    expect(told.objects.get('Pod shop/misnamed')).toMatchObject({ cookieValue: undefined });
    const misnamed = told.problems.get('Pod shop/misnamed')?.[0]?.field;
    expect(misnamed).toBe('metadata.annotations[holdfast.dev/cookie-value]');
    const accepts = server.requests.filter(({ path }) => path.endsWith('/pods')).map(({ headers }) => headers.accept);
    expect(accepts[0]).toBe('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1');
    server.remove('Pod', 'shop', 'marked');
    await told.until(() => !told.objects.has('Pod shop/marked'));
  });

  test('pods are left alone when told so', async () => {
    const { server } = await synced(() => undefined, { pods: false });
    expect(server.requests.some(({ path }) => path.endsWith('/pods'))).toBe(false);
  });

  test('fields of a newer StickyPolicy are dropped with a Problem, and the policy stays', async () => {
    const rules = [
      { name: 'future', telepathy: { mode: 'Hash' } },
      { name: 'c', cookie: { mode: 'Insert', flavour: 'vanilla' } },
    ];
    const { told } = await synced((api) =>
      api.put(policy('p', { rules, futureBlock: { a: 1 }, session: { idleTimeout: '1h' } })),
    );
    expect(told.objects.get('StickyPolicy shop/p')).toMatchObject({
      spec: { rules: [{ name: 'c', cookie: { mode: 'Insert' } }], session: { idleTimeout: '1h' } },
    });
    const problems = told.problems.get('StickyPolicy shop/p') ?? [];
    expect(problems.map(({ field, severity }) => `${severity} ${field}`).sort()).toEqual([
      'warning spec.futureBlock',
      'warning spec.rules[0].telepathy',
      'warning spec.rules[1].cookie.flavour',
    ]);
  });

  test('a policy that is wrong, not new, is refused; the store keeps its last generation', async () => {
    const good = { rules: [{ name: 'c', cookie: { mode: 'Insert' } }] };
    const { told, server } = await synced((api) => api.put(policy('p', good)));
    server.put(policy('p', { rules: [{ name: 'c', cookie: { mode: 'Insert', path: 5 } }] }));
    await told.until(() => told.problems.has('StickyPolicy shop/p'));
    expect(told.objects.get('StickyPolicy shop/p')).toMatchObject({ refused: true });
    expect(told.problems.get('StickyPolicy shop/p')?.[0]?.severity).toBe('error');
  });
});

test('after close nothing reaches the sink, whatever is under way', async () => {
  const { told, server, source } = await synced((api) => many(api, 3));
  await told.until(() => server.watches('Ingress') === 1);
  const before = told.events.length;
  const closed = source.close();
  many(server, 50);
  await closed;
  expect(told.events).toHaveLength(before);
  await told.until(() => server.watches('Ingress') === 0);
});

test('close while the API server does not answer ends the start too', async () => {
  const { source, told, server } = await start((api) => {
    for (let i = 0; i < 20; i++) api.faults.push(() => true);
  });
  await told.until(() => server.requests.length >= 6);
  await source.close();
  expect(told.events.filter(({ type }) => type !== 'sourceProblems')).toEqual([]);
});
