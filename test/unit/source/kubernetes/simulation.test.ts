/** Seeded faults: whatever happens to the connection, in the end the sink holds what the API server holds. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ApiServer } from './api-server.ts';
import { status } from './api-server.ts';
import { begin, FAST, ingress, type Told } from './harness.ts';

/** Each acts on the server; names are few, so that objects come and go under the same one. */
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const version = fc.integer({ min: 0, max: 1000 });
const ask = fc.constantFrom('list', 'watch', 'any');

const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), name, version }),
  fc.record({ do: fc.constant('remove' as const), name }),
  fc.record({ do: fc.constant('compact' as const) }),
  fc.record({ do: fc.constant('removeUnseen' as const), name }),
  fc.record({ do: fc.constant('bookmark' as const) }),
  fc.record({ do: fc.constant('end' as const) }),
  fc.record({ do: fc.constant('reset' as const) }),
  fc.record({ do: fc.constant('closeEvery' as const), events: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant('answer' as const), ask, code: fc.constantFrom(410, 429, 500, 503, 403, 404) }),
  fc.record({ do: fc.constant('hangUp' as const), ask }),
  fc.record({
    do: fc.constant('say' as const),
    text: fc.constantFrom(
      'garbage\n',
      '{"type":"ADDED","object":3}\n',
      '{"type":"ERROR","object":{"code":410}}\n',
      '{"type":"ERROR","object":null}\n',
      '{"type":"ADDED","obj',
    ),
  }),
  fc.record({ do: fc.constant('restart' as const) }),
  fc.record({ do: fc.constant('breathe' as const), ms: fc.integer({ min: 0, max: 5 }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function play(server: ApiServer, action: Step): Promise<void> {
  const meant = (how: string, watch: boolean): boolean => how === 'any' || (how === 'watch') === watch;
  switch (action.do) {
    case 'put':
      server.put(ingress(action.name, `v${action.version}.test`));
      break;
    case 'remove':
      server.remove('Ingress', 'shop', action.name);
      break;
    case 'compact':
      server.compact();
      break;
    case 'removeUnseen':
      server.endWatches('reset');
      server.remove('Ingress', 'shop', action.name);
      server.compact();
      break;
    case 'bookmark':
      server.bookmark('Ingress');
      break;
    case 'end':
    case 'reset':
      server.endWatches(action.do);
      break;
    case 'closeEvery':
      server.closeEvery = action.events;
      break;
    case 'answer':
      server.faults.push((seen, response) => {
        if (!meant(action.ask, seen.query.has('watch'))) return false;
        status(response, action.code, 'told so');
        return true;
      });
      break;
    case 'hangUp':
      server.faults.push((seen, response) => {
        if (!meant(action.ask, seen.query.has('watch'))) return false;
        response.destroy();
        return true;
      });
      break;
    case 'say':
      server.say('Ingress', action.text);
      break;
    case 'restart':
      await server.close();
      await server.listen();
      break;
    case 'breathe':
      await new Promise((resolve) => setTimeout(resolve, action.ms));
  }
}

function served(server: ApiServer): string[] {
  return server.objects('Ingress').map((object) => `${object.metadata.name} ${hostIn(object)}`);
}

function mirrored(told: Told): string[] {
  return told.names('Ingress').map((key) => `${key.slice(key.indexOf('/') + 1)} ${hostIn(told.objects.get(key))}`);
}

function hostIn(object: unknown): string {
  return /v\d+\.test/.exec(JSON.stringify(object))?.[0] ?? '';
}

test('after any script of faults the sink holds what the server holds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, page) => {
        const timing = { ...FAST, page, silence: 100 };
        const fixture = await begin((api) => api.put(ingress('a', 'v0.test')), {
          pods: false,
          timing,
        });
        const { server, told, source } = fixture;
        try {
          for (const action of steps) await play(server, action);
          // From here on all is well again.
          server.faults.length = 0;
          server.closeEvery = Infinity;
          server.put(ingress('last', 'v1.test'));
          const wanted = served(server).sort();
          await told.until(
            () => told.synced === 1 && JSON.stringify(mirrored(told).sort()) === JSON.stringify(wanted),
            `the sink holds ${wanted.join(', ')}`,
          );
          await told.until(() => source.watches().every(({ connected }) => connected));
          expect(mirrored(told).sort()).toEqual(wanted);
        } finally {
          await fixture.end();
        }
      },
    ),
    { numRuns: 60 },
  );
});
