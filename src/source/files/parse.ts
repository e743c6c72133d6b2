/** Splits a manifest file into the raw objects it holds, each with its line and those of its fields. */
import { isNode, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from 'yaml';
import type { FieldLines } from '../../model/lines.ts';
import type { Location } from '../../model/problem.ts';
import { fieldLines } from './field-lines.ts';

export interface RawObject {
  readonly raw: unknown;
  readonly location: Location;
  readonly lines: FieldLines;
}

/** What is wrong with a file as a whole. */
export interface FileFault {
  readonly message: string;
  readonly location: Location;
}

export type ParsedManifest = { readonly objects: readonly RawObject[] } | { readonly fault: FileFault };

/** Lists in lists do not exist in practice; a file that nests them without end must not exhaust the stack. */
const MAX_LIST_DEPTH = 4;

/**
 * Reads YAML with any number of documents, or JSON (which YAML includes). `List` objects and typed lists such as
 * `IngressList` are flattened. One syntax error anywhere faults the whole file: the rest of a half-written file means nothing.
 */
export function parseManifest(text: string, file: string): ParsedManifest {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  const objects: RawObject[] = [];
  for (const document of documentsOf(text, lines)) {
    const [error] = document.errors;
    if (error !== undefined) {
      return { fault: { message: error.message, location: { file, line: lineAt(error.pos[0]) } } };
    }
    if (document.contents === null) continue;
    const line = lineAt(document.contents.range?.[0] ?? 0);
    const value = toValue(document);
    if ('failure' in value) return { fault: { message: value.failure, location: { file, line } } };
    if (value.raw === null) continue;
    flatten(value.raw, document.contents, { file, line }, lineAt, objects, 0);
  }
  return { objects };
}

function documentsOf(text: string, lineCounter: LineCounter): Document.Parsed[] {
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false });
  return 'empty' in documents ? [] : documents;
}

/** Aliases are resolved here, and too many of them (a "billion laughs" file) are an error. */
function toValue(document: Document.Parsed): { raw: unknown } | { failure: string } {
  try {
    return { raw: document.toJS() };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}

function flatten(
  raw: unknown,
  node: Node | undefined,
  location: Location,
  lineAt: (offset: number) => number,
  objects: RawObject[],
  depth: number,
): void {
  const list = depth < MAX_LIST_DEPTH ? asList(raw) : undefined;
  if (list === undefined) {
    objects.push({ raw, location, lines: fieldLines(node, lineAt) });
    return;
  }
  const itemNodes = itemsNode(node);
  for (const [index, item] of list.items.entries()) {
    const itemNode = itemNodes[index];
    const line = itemNode?.range?.[0] === undefined ? location.line : lineAt(itemNode.range[0]);
    flatten(withType(item, list), itemNode, { file: location.file, line }, lineAt, objects, depth + 1);
  }
}

interface RawList {
  readonly kind: string;
  readonly apiVersion: unknown;
  readonly items: readonly unknown[];
}

function asList(raw: unknown): RawList | undefined {
  if (!isRecord(raw)) return undefined;
  const { kind, apiVersion, items } = raw;
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items)
    ? { kind, apiVersion, items }
    : undefined;
}

/** Items of a typed list may leave out what the list's type says already. */
function withType(item: unknown, { kind, apiVersion }: RawList): unknown {
  if (kind === 'List' || !isRecord(item) || 'kind' in item) return item;
  return { apiVersion, kind: kind.slice(0, -'List'.length), ...item };
}

function itemsNode(node: Node | undefined): readonly (Node | undefined)[] {
  const items: unknown =
    node !== undefined && 'get' in node && typeof node.get === 'function' ? node.get('items', true) : undefined;
  return isSeq(items) ? items.items.map((item) => (isNode(item) ? item : undefined)) : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
