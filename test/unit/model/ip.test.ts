/** Tests of IP address and CIDR arithmetic. */
import fc from 'fast-check';
import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import { cidrContains, formatIp, maskIp, parseCidr, parseIp } from '../../../src/model/ip.ts';

const text = (input: string) => {
  const ip = parseIp(input);
  return ip && formatIp(ip);
};

describe('parseIp', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (input, expected) => expect(text(input)).toBe(expected));

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4 ',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    ':1',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7::8',
    '12345::',
    '::1.2.3',
    '1.2.3.4::',
    '0x1.2.3.4',
    '1..2.3',
    '[::1]',
  ])('%s is refused', (input) => expect(parseIp(input)).toBeUndefined());

  test('accepts what node:net accepts, zone ids aside, and prints it so that it reads the same', () => {
    const candidate = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ unit: fc.constantFrom(...'0123af:.'), maxLength: 20 }),
    );
    fc.assert(
      fc.property(candidate, (input) => {
        const ip = parseIp(input);
        expect(ip !== undefined).toBe(isIP(input) !== 0);
        if (ip) expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('CIDR', () => {
  const inside = (block: string, address: string) => {
    const [cidr, ip] = [parseCidr(block), parseIp(address)];
    return cidr !== undefined && ip !== undefined && cidrContains(cidr, ip);
  };

  test.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '::1', false],
    ['192.0.2.1/32', '192.0.2.1', true],
    ['192.0.2.1/32', '192.0.2.2', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['2001:db8::/64', '2001:db8:0:0:1::', true],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['::/0', '2001:db8::', true],
  ])('%s contains %s: %s', (block, address, expected) => expect(inside(block, address)).toBe(expected));

  test.each([
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/',
    '::/129',
    'x/8',
    '::ffff:10.0.0.0/95',
  ])('%s is refused', (input) => expect(parseCidr(input)).toBeUndefined());

  test('masks to the network of the family', () => {
    const mask = (input: string) => {
      const ip = parseIp(input);
      return ip && maskIp(ip, 24, 56);
    };
    expect(mask('192.0.2.77')).toBe('192.0.2.0');
    expect(mask('::ffff:192.0.2.77')).toBe('192.0.2.0');
    expect(mask('2001:db8:1:2ff:3::4')).toBe('2001:db8:1:200::');
  });
});
