/** What the logger writes. */
import { expect, test } from 'vitest';
import { createLogger, prettyLine } from '../../../src/telemetry/logger.ts';

function lines(level: string, pretty: boolean): { log: ReturnType<typeof createLogger>; written: string[] } {
  const written: string[] = [];
  return { log: createLogger({ level, pretty, write: (line) => written.push(line) }), written };
}

test('JSON lines with level as a word, time, fields and message', () => {
  const { log, written } = lines('info', false);
  log.child({ part: 'store' }).warn({ count: 2 }, 'hello');
  log.debug('not shown');
  expect(written).toHaveLength(1);
  const entry = JSON.parse(written[0] ?? '') as Record<string, unknown>;
  expect(entry).toMatchObject({ level: 'warn', part: 'store', count: 2, msg: 'hello' });
  expect(Date.parse(String(entry['time']))).toBeGreaterThan(0);
  expect(written[0]?.endsWith('\n')).toBe(true);
});

test('an error has its message and stack', () => {
  const { log, written } = lines('info', false);
  log.error({ err: new TypeError('oops') }, 'failed');
  const { err } = JSON.parse(written[0] ?? '') as { err: Record<string, unknown> };
  expect(err).toMatchObject({ type: 'TypeError', message: 'oops' });
  expect(err['stack']).toContain('logger.test.ts');
});

test('a readable line on a terminal', () => {
  const { log, written } = lines('debug', true);
  log.info({ port: 8080, name: 'two words', at: '[::]:1' }, 'serving');
  expect(written[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}serving {2}port=8080 name="two words" at="\[::\]:1"\n$/);
  log.error({ err: new Error('oops') }, 'failed');
  expect(written[1]).toMatch(/ERROR failed\n {4}Error: oops\n {4,}at /);
});

test('silent says nothing', () => {
  const { log, written } = lines('silent', false);
  log.fatal('no');
  expect(written).toEqual([]);
});

test.each(['not json\n', '5\n', 'null\n', '"text"\n'])('%j is passed on', (line) => {
  expect(prettyLine(line, false)).toBe(line);
});

test('colours are asked for', () => {
  expect(prettyLine('{"level":"warn","msg":"m"}\n', true)).toContain('\x1b[33mWARN \x1b[0m m');
  expect(prettyLine('{"level":"warn","msg":"m"}\n', false)).not.toContain('\x1b');
});

test('control characters in a message cannot forge a line', () => {
  const { log, written } = lines('info', true);
  log.info({ path: 'a\nb' }, 'one\ntwo\x1b[2J');
  expect(written[0]?.trimEnd().split('\n')).toHaveLength(1);
  expect(written[0]).not.toContain('\x1b');
});
