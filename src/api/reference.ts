/** Writes the reference pages of StickyPolicy and of the annotations from the same tables that the program reads. */
import { COOKIE_FIELDS } from '../rules/cookie/schema.ts';
import { VALIDATIONS } from '../rules/schema/constrain.ts';
import { BACKEND_ANNOTATIONS } from './annotations/backend.ts';
import { CANARY_ANNOTATIONS } from './annotations/canary.ts';
import { NGINX_PREFIX } from './annotations/foreign.ts';
import { ANNOTATIONS, PREFIX } from './annotations/table.ts';
import { type JsonSchema, specJsonSchema } from './json-schema.ts';
import { GROUP, VERSION } from './sticky-policy.ts';

const NOTICE = '<!-- Written by `npm run generate`; change the schema instead. -->';

/** Text for a table's cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

export function stickyPolicyReference(): string {
  const spec = specJsonSchema();
  return [
    '# StickyPolicy reference',
    '',
    NOTICE,
    '',
    `\`apiVersion: ${GROUP}/${VERSION}\`, \`kind: StickyPolicy\`, namespaced, short name \`stp\`.`,
    '',
    'Durations are written as in Kubernetes (GEP-2257): up to four whole numbers with `h`, `m`, `s` or `ms`, such as `30s` or `1h30m`.',
    'Regular expressions have RE2 syntax and are matched in linear time. A field that is not listed here is refused.',
    ...section('spec', spec),
    '',
    '## Fields of `cookie` by mode',
    '',
    'A field that its mode does not use is refused.',
    '',
    ...table(
      ['field', 'modes'],
      Object.entries(COOKIE_FIELDS).map(([field, modes]) => [`\`${field}\``, modes.join(', ')]),
    ),
    '',
  ].join('\n');
}

/** Objects that several fields share and that are written out once; `not` repeats `when`. */
function isRepeated(name: string, path: string): boolean {
  return name === 'not' || (['extract', 'hash'].includes(name) && !path.endsWith('.cookie'));
}

/** One table for an object and then one for each object below it. */
function section(path: string, schema: JsonSchema): string[] {
  const fields = Object.entries(schema.properties ?? {});
  const nested = fields.flatMap(([name, field]) => {
    const inner = field.items ?? field;
    const innerPath = `${path}.${name}${field.items === undefined ? '' : '[]'}`;
    const skipped = isRepeated(name, path) || Object.keys(inner.properties ?? {}).length === 0;
    return skipped ? [] : section(innerPath, inner);
  });
  const rows = fields.map(([name, field]) => {
    const required = schema.required?.includes(name) === true;
    return [
      `\`${name}\``,
      typeOf(field),
      required ? 'required' : (field.defaultText ?? 'unset'),
      field.description ?? '',
    ];
  });
  const notes = conditions(schema);
  return [
    '',
    `## \`${path}\``,
    '',
    ...(schema.description === undefined ? [] : [schema.description, '']),
    ...table(['field', 'type', 'default', 'meaning'], rows),
    ...(notes.length === 0 ? [] : ['', 'Refused with one of these messages:', '', ...notes]),
    ...nested,
  ];
}

function conditions(schema: JsonSchema): string[] {
  const validations = schema[VALIDATIONS];
  if (!Array.isArray(validations)) return [];
  const messages = (validations as { message: string }[]).map(({ message }) => message);
  return messages.filter((message) => !message.includes('is not used by this mode')).map((message) => `- ${message}`);
}

function typeOf(field: JsonSchema): string {
  if (field.typeText !== undefined) return field.typeText;
  if (field.enum !== undefined) return field.enum.map((value) => (value === '' ? '`""`' : `\`${value}\``)).join(', ');
  switch (field.type) {
    case 'array':
      return `list of ${field.items?.type === 'object' ? 'objects' : 'texts'}, at most ${String(field['maxItems'])}`;
    case 'string':
      return `text, at most ${String(field['maxLength'])}`;
    case 'integer':
      return `whole number, ${String(field['minimum'])} to ${String(field['maximum'])}`;
    default:
      return field.type ?? '';
  }
}

export function annotationsReference(): string {
  return [
    '# Annotations of an Ingress',
    '',
    NOTICE,
    '',
    'The short way to sticky sessions; a [StickyPolicy](stickypolicy.md) is the full way. A malformed value is reported and its default holds.',
    '',
    ...table(
      ['annotation', 'value', 'default', 'meaning', 'needs'],
      Object.values(ANNOTATIONS).map((annotation) => [
        `\`${PREFIX}${annotation.name}\``,
        annotation.values,
        annotation.default,
        annotation.meaning,
        NEEDS[annotation.audience],
      ]),
    ),
    '',
    '## Canary',
    '',
    'As in ingress-nginx, on the canary Ingress. [How requests are divided](../ingress.md#canaries).',
    '',
    ...table(
      ['annotation', 'value', 'default', 'meaning'],
      Object.entries(CANARY_ANNOTATIONS).map(([name, annotation]) => [
        `\`${NGINX_PREFIX}${name}\``,
        annotation.values,
        annotation.default,
        annotation.meaning,
      ]),
    ),
    '',
    '## Protocol of endpoints',
    '',
    'As in ingress-nginx; our own annotations, above, come first. [What is verified](../ingress.md#over-https).',
    '',
    ...table(
      ['annotation', 'value', 'default', 'meaning'],
      Object.entries(BACKEND_ANNOTATIONS).map(([name, annotation]) => [
        `\`${NGINX_PREFIX}${name}\``,
        annotation.values,
        annotation.default,
        annotation.meaning,
      ]),
    ),
    '',
    '## Not supported yet',
    '',
    `Reported, without effect: the other annotations of ingress-nginx (\`nginx.ingress.kubernetes.io/\`).`,
    '',
    'Any other annotation of either prefix that restricts access (`auth-*`, `*-source-range`, `limit-*`, `satisfy`, `enable-modsecurity`) closes the Ingress: its routes answer 503 until the annotation is removed, because serving them without that protection would be worse.',
    '',
  ].join('\n');
}

/** By audience: what else must be written for the annotation to have an effect. */
const NEEDS = {
  cookie: '`affinity: cookie`',
  header: '`affinity: header`',
  any: 'an `affinity` other than `none`',
  always: '',
  ingress: '',
} as const;
