/** Addresses of the published Service, as other controllers show them. */
import { expect, test } from 'vitest';
import { givenAddresses, serviceAddresses } from '../../../src/control/published.ts';

test.each<[string, Record<string, unknown>, unknown[]]>([
  [
    'a LoadBalancer',
    {
      spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1', externalIPs: ['192.0.2.1'] },
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }, { hostname: 'lb.example' }] } },
    },
    [{ ip: '203.0.113.7' }, { hostname: 'lb.example' }, { ip: '192.0.2.1' }],
  ],
  ['a LoadBalancer that has none yet', { spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1' }, status: {} }, []],
  ['a NodePort', { spec: { type: 'NodePort', clusterIP: '10.0.0.1' } }, [{ ip: '10.0.0.1' }]],
  [
    'both families',
    { spec: { type: 'ClusterIP', clusterIPs: ['10.0.0.1', 'fd00::1'] } },
    [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
  ],
  [
    'external addresses',
    { spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', externalIPs: ['192.0.2.1'] } },
    [{ ip: '192.0.2.1' }],
  ],
  ['headless', { spec: { type: 'ClusterIP', clusterIP: 'None' } }, []],
  ['a name', { spec: { type: 'ExternalName', externalName: 'lb.example' } }, [{ hostname: 'lb.example' }]],
  ['nothing at all', {}, []],
])('%s', (_name, raw, addresses) => {
  expect(serviceAddresses(raw)).toEqual(addresses);
});

test('addresses as given', () => {
  expect(givenAddresses(['::1', 'a.example'])).toEqual([{ ip: '::1' }, { hostname: 'a.example' }]);
});
