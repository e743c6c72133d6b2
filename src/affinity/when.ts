/** Compiles a rule's `when` to one function over the facts of a request. */
import type { RequestFacts } from '../model/facts.ts';
import { cidrContains, parseCidr, parseIp } from '../model/ip.ts';
import type { CompiledRule } from '../model/policy.ts';
import type { ValueMatch, WhenBlock } from '../model/sticky-policy.ts';
import { compileCel } from '../rules/cel/compile.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { RegexCompiler } from '../rules/kind.ts';
import { queryValues } from '../rules/query/read.ts';

export type Condition = (facts: RequestFacts) => boolean;

/** undefined = always holds. `onError`: an expression failed. */
export function compileWhen(
  when: CompiledRule['when'],
  regex: RegexCompiler,
  onError: () => void,
): Condition | undefined {
  if (when === undefined) return undefined;
  const conditions = blockConditions(when, regex, onError);
  if (when.not !== undefined) {
    const excluded = blockConditions(when.not, regex, onError);
    conditions.push((facts) => !excluded.every((holds) => holds(facts)));
  }
  if (conditions.length <= 1) return conditions[0];
  return (facts) => conditions.every((holds) => holds(facts));
}

/** All of them must hold; each list in the block is any-of. */
function blockConditions(block: WhenBlock, regex: RegexCompiler, onError: () => void): Condition[] {
  const conditions: Condition[] = [];
  const anyOf = <T>(list: readonly T[] | undefined, make: (list: readonly T[]) => Condition) => {
    if (list !== undefined && list.length > 0) conditions.push(make(list));
  };
  const ignoreCase = block.ignoreCase ?? false;
  anyOf(block.methods, (methods) => (facts) => methods.includes(facts.method));
  anyOf(block.hosts, hostCondition);
  anyOf(block.pathPrefixes, (list) => pathCondition(list, ignoreCase, (path, part) => path.startsWith(part)));
  anyOf(block.pathSuffixes, (list) => pathCondition(list, ignoreCase, (path, part) => path.endsWith(part)));
  if (block.pathRegex !== undefined) {
    const pattern = regex(block.pathRegex, ignoreCase);
    conditions.push((facts) => pattern.test(facts.path));
  }
  anyOf(block.sourceCIDRs, sourceCondition);
  anyOf(block.ports, (ports) => (facts) => ports.includes(facts.port));
  anyOf(block.headers, (list) => valueCondition(list, regex, (facts, name) => facts.headers(name.toLowerCase())));
  anyOf(block.cookies, (list) => valueCondition(list, regex, (facts, name) => cookieValues(facts.cookie, [name])));
  anyOf(block.query, (list) => valueCondition(list, regex, (facts, name) => queryValues(facts.query, name)));
  if (block.cel !== undefined) {
    const evaluate = compileCel(block, block.cel, 'bool', regex, onError);
    conditions.push((facts) => evaluate(facts) === true);
  }
  return conditions;
}

/** Exact, or `*.` for exactly one label. */
function hostCondition(hosts: readonly string[]): Condition {
  const exact = new Set(hosts.filter((host) => !host.startsWith('*.')).map((host) => host.toLowerCase()));
  const parents = new Set(hosts.filter((host) => host.startsWith('*.')).map((host) => host.slice(2).toLowerCase()));
  return (facts) => {
    if (exact.has(facts.host)) return true;
    const dot = facts.host.indexOf('.');
    return dot > 0 && parents.has(facts.host.slice(dot + 1));
  };
}

function pathCondition(
  parts: readonly string[],
  ignoreCase: boolean,
  matches: (path: string, part: string) => boolean,
): Condition {
  const wanted = ignoreCase ? parts.map((part) => part.toLowerCase()) : parts;
  return (facts) => {
    const path = ignoreCase ? facts.path.toLowerCase() : facts.path;
    return wanted.some((part) => matches(path, part));
  };
}

function sourceCondition(texts: readonly string[]): Condition {
  const cidrs = texts.map(parseCidr).filter((cidr) => cidr !== undefined);
  return (facts) => {
    const ip = parseIp(facts.clientAddress);
    return ip !== undefined && cidrs.some((cidr) => cidrContains(cidr, ip));
  };
}

function valueCondition(
  matches: readonly ValueMatch[],
  regex: RegexCompiler,
  valuesOf: (facts: RequestFacts, name: string) => readonly string[],
): Condition {
  const tests = matches.map((match) => ({ name: match.name, holds: valuesTest(match, regex) }));
  return (facts) => tests.some((test) => test.holds(valuesOf(facts, test.name)));
}

/** Of a name that is repeated, any value may match. */
function valuesTest(match: ValueMatch, regex: RegexCompiler): (values: readonly string[]) => boolean {
  if (match.value !== undefined) {
    const wanted = match.value;
    return (values) => values.includes(wanted);
  }
  if (match.regex !== undefined) {
    const pattern = regex(match.regex, false);
    return (values) => values.some((value) => pattern.test(value));
  }
  const present = match.present ?? true;
  return (values) => values.length > 0 === present;
}
