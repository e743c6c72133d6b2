/** Who the client is behind proxies. */
import { describe, expect, test } from 'vitest';
import { ClientAddresses, forwardedElement, peerAddress } from '../../../src/lanes/client-address.ts';
import { parseIp } from '../../../src/model/ip.ts';

const addresses = new ClientAddresses(['10.0.0.0/8', '2001:db8::1']);
const none = { xForwardedFor: '', forwarded: '', xForwardedProto: '' };

describe('trusted proxies', () => {
  test.each([
    ['10.1.2.3', true],
    ['11.1.2.3', false],
    ['::ffff:10.1.2.3', true],
    ['2001:db8::1', true],
    ['2001:db8::2', false],
  ])('%s: %s', (ip, expected) => {
    expect(addresses.trusts(parseIp(ip))).toBe(expected);
  });
});

describe('peers', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1', false],
    ['::ffff:10.1.2.3', '10.1.2.3', true],
    ['2001:db8:0:0::1', '2001:db8::1', true],
    ['fe80::1%eth0', 'fe80::1', false],
    [undefined, '', false],
  ])('%s is %s, trusted: %s', (remote, address, trusted) => {
    expect(addresses.peer(remote)).toMatchObject({ address, trusted });
  });

  test('connections of a peer have one, and of many peers the first are forgotten', () => {
    const own = new ClientAddresses([]);
    const first = own.peer('192.0.2.1');
    for (let i = 1; i < 1024; i++) own.peer(`198.51.${i >> 8}.${i & 255}`);
    expect(own.peer('192.0.2.1')).toBe(first);
    own.peer('203.0.113.1');
    expect(own.peer('192.0.2.1')).not.toBe(first);
  });
});

describe('T43: the right-most address that is not trusted counts', () => {
  test.each([
    ['nothing said', {}, '10.0.0.1'],
    ['one client', { xForwardedFor: '192.0.2.1' }, '192.0.2.1'],
    ['a spoofed address in front', { xForwardedFor: '1.1.1.1, 192.0.2.1' }, '192.0.2.1'],
    ['trusted hops behind the client', { xForwardedFor: '1.1.1.1,192.0.2.1 , 10.9.9.9' }, '192.0.2.1'],
    ['only trusted hops', { xForwardedFor: '10.2.2.2, 10.3.3.3' }, '10.2.2.2'],
    ['junk behind the client', { xForwardedFor: '192.0.2.1, junk' }, '10.0.0.1'],
    ['with a port', { xForwardedFor: '192.0.2.1:4711' }, '192.0.2.1'],
    ['IPv6 with brackets and port', { xForwardedFor: '[2001:db8::9]:443' }, '2001:db8::9'],
    ['Forwarded', { forwarded: 'for=1.1.1.1, for="[2001:db8::7]:80";proto=https' }, '2001:db8::7'],
  ])('%s', (_name, fields, expected) => {
    expect(addresses.behind('10.0.0.1', { ...none, ...fields }, 'http').address).toBe(expected);
  });

  test.each([
    [{ xForwardedProto: 'https' }, 'https'],
    [{ xForwardedProto: 'http, https' }, 'https'],
    [{ xForwardedProto: 'gopher' }, 'http'],
    [{ forwarded: 'for=1.1.1.1;proto=https' }, 'https'],
  ])('scheme of %j is %s', (fields, expected) => {
    expect(addresses.behind('10.0.0.1', { ...none, ...fields }, 'http').scheme).toBe(expected);
  });
});

test('a peer without an address is nobody', () => {
  expect(peerAddress(undefined)).toBeUndefined();
  expect(peerAddress('::ffff:127.0.0.1')).toEqual(parseIp('127.0.0.1'));
  expect(peerAddress('fe80::1%eth0')).toEqual(parseIp('fe80::1'));
});

test('RFC 7239: IPv6 is quoted in brackets, the host is quoted', () => {
  expect(forwardedElement('2001:db8::1', 'a.example:80', 'http')).toBe(
    'for="[2001:db8::1]";host="a.example:80";proto=http',
  );
  expect(forwardedElement('192.0.2.1', '', 'https')).toBe('for=192.0.2.1;proto=https');
});
