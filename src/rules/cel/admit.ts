/**
 * What an expression may hold, so that its length bounds its cost: each part is evaluated once, since there are no
 * loops, and nothing is searched for that a client has written, which takes quadratic time.
 */
import type { ASTNode } from '@marcbachmann/cel-js';

type Node<Op extends ASTNode['op']> = Extract<ASTNode, { op: Op }>;
/** `text.matches(pattern)`. */
export type Method = Node<'rcall'>;

const FUNCTIONS: readonly string[] = ['has', 'size', 'string', 'int', 'double', 'bool'];
const SEARCHES: readonly string[] = ['contains', 'indexOf', 'lastIndexOf', 'split', 'matches'];
const OTHER_METHODS = ['startsWith', 'endsWith', 'lowerAscii', 'upperAscii', 'trim', 'substring', 'size'];
const METHODS: readonly string[] = [...SEARCHES, ...OTHER_METHODS];
const LOOPS: readonly string[] = ['all', 'exists', 'exists_one', 'map', 'filter'];
const HAS = "`has` is for names behind a dot, such as `has(request.query.id)`; write `'x-user' in request.headers`";
const VARIABLES: readonly string[] = ['request', 'source', 'tls'];
const MAPS: readonly string[] = ['query', 'headers', 'cookies'];

/** Throws an Error that says what to write instead. @returns the calls of `matches`; their argument is a literal */
export function admit(expression: ASTNode): Method[] {
  const matches: Method[] = [];
  visit(expression, matches);
  return matches;
}

function visit(node: ASTNode, matches: Method[]): void {
  switch (node.op) {
    case 'value':
      return;
    case 'id':
      // Other names are unknown to the type check.
      if (!isVariable(node)) return;
      throw new Error(`\`${node.args}\` is no value; write one of its fields, such as \`request.path\``);
    case '.':
      if (mapOf(node) !== undefined) throw notLookedUp(node);
      if (isVariable(node.args[0])) return;
      return lookUp(node.args[0], node.args[1], matches);
    case '[]':
      visit(node.args[1], matches);
      return lookUp(node.args[0], literal(node.args[1]), matches);
    case 'in':
      visit(node.args[0], matches);
      return lookUp(node.args[1], literal(node.args[0]), matches);
    case 'call':
      if (!FUNCTIONS.includes(node.args[0])) throw unknownFunction(node.args[0], FUNCTIONS);
      if (node.args[0] === 'has' && !isNameInMap(node.args[1][0])) throw new Error(HAS);
      return visitAll(node.args[1], matches);
    case 'rcall':
      return visitMethod(node, matches);
    case 'map':
      return visitAll(node.args.flat(), matches);
    case '!_':
    case '-_':
      return visit(node.args, matches);
    case '.?':
    case '[?]':
      throw new Error('optional look-ups are not available here; write `has(…) ? … : …`');
    default:
      return visitAll(node.args, matches);
  }
}

function visitAll(nodes: readonly ASTNode[], matches: Method[]): void {
  for (const node of nodes) visit(node, matches);
}

/** A name that is looked up in one of the request's maps, or in any other value. */
function lookUp(of: ASTNode, name: string | undefined, matches: Method[]): void {
  const map = mapOf(of);
  if (map === undefined) return visit(of, matches);
  if (map === 'query' || name === undefined || name === name.toLowerCase()) return;
  throw new Error(`names are in lower case here; write \`request.${map}['${name.toLowerCase()}']\``);
}

function visitMethod(node: Method, matches: Method[]): void {
  const [name, receiver, args] = node.args;
  if (!METHODS.includes(name)) throw unknownFunction(name, METHODS);
  visit(receiver, matches);
  visitAll(args, matches);
  if (!SEARCHES.includes(name) || args[0] === undefined) return;
  if (literal(args[0]) === undefined)
    throw new Error(`\`${name}\` searches for a text that is written here, in quotes`);
  if (name === 'matches') matches.push(node);
}

function isVariable(node: ASTNode): boolean {
  return node.op === 'id' && VARIABLES.includes(node.args);
}

/** Which of the request's maps this is. */
function mapOf(node: ASTNode): string | undefined {
  if (node.op !== '.' || node.args[0].op !== 'id' || node.args[0].args !== 'request') return undefined;
  return MAPS.includes(node.args[1]) ? node.args[1] : undefined;
}

function isNameInMap(node: ASTNode | undefined): boolean {
  return node?.op === '.' && mapOf(node.args[0]) !== undefined;
}

export function literal(node: ASTNode): string | undefined {
  return node.op === 'value' && typeof node.args === 'string' ? node.args : undefined;
}

function notLookedUp(map: Node<'.'>): Error {
  const name = `request.${map.args[1]}`;
  return new Error(`\`${name}\` is looked up by a name; write \`${name}['name']\` or \`'name' in ${name}\``);
}

function unknownFunction(name: string, known: readonly string[]): Error {
  if (LOOPS.includes(name))
    return new Error(`\`${name}\` loops, which would not bound the cost; write each case, joined by \`||\` or \`&&\``);
  return new Error(`there is no \`${name}\` here; there are ${known.map((each) => `\`${each}\``).join(', ')}`);
}
