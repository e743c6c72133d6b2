import { describe, expect, test } from 'vitest';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { grpcLines, grpcTimeout, isGrpc } from '../../../src/lanes/grpc.ts';

function head(lines: string): RequestHead {
  const made = new RequestHead();
  const line = 'POST / HTTP/1.1\r\n';
  made.text = `${line}${lines}\r\n\r\n`;
  made.linesStart = line.length;
  return made;
}

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['Application/GRPC; charset=x', true],
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/json', false],
])('%s is gRPC: %s', (type, expected) => {
  expect(isGrpc(head(`Content-Type: ${type}`))).toBe(expected);
});

test('a request without a type is none', () => {
  expect(isGrpc(head('A: b'))).toBe(false);
});

test.each([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3000],
  ['250m', 250],
  ['5000u', 5],
  ['99999999n', 99.999999],
  ['', undefined],
  ['1', undefined],
  ['-1S', undefined],
  ['123456789S', undefined],
  ['1s', undefined],
])('grpc-timeout %j', (value, expected) => {
  expect(grpcTimeout(head(`grpc-timeout: ${value}`))).toBe(expected);
});

describe('a refusal as a gRPC status', () => {
  test.each([
    [400, 13],
    [404, 12],
    [421, 2],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
  ])('HTTP %i is %i', (status, grpc) => {
    expect(grpcLines(status, 'x', 'y')).toContain(`Grpc-Status: ${grpc}\r\n`);
  });

  test('a backend that did not answer in time is DEADLINE_EXCEEDED', () => {
    expect(grpcLines(504, 'response_timeout', 'y')).toContain('Grpc-Status: 4\r\n');
  });

  test('its message is percent-encoded where it has to be', () => {
    expect(grpcLines(503, 'x', '100 % “so”\r\n')).toContain('Grpc-Message: 100 %25 %E2%80%9Cso%E2%80%9D%0D%0A\r\n');
  });
});
