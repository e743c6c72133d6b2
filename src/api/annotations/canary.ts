/** The annotations by which ingress-nginx marks an Ingress as the canary of another one: their names, values and meaning. */
import type { Canary } from '../../model/canary.ts';
import type { Meta } from '../../model/resources.ts';
import { regexProblem } from '../../rules/re2.ts';
import { TOKEN } from '../../rules/schema/text.ts';
import type { Report } from '../project/fields.ts';
import { fieldOf, fieldOfSetting } from './field.ts';
import { NGINX_PREFIX } from './foreign.ts';

interface CanaryAnnotation {
  readonly values: string;
  readonly meaning: string;
  readonly default: string;
}

/** By name behind ingress-nginx's prefix; also what the reference says. */
export const CANARY_ANNOTATIONS = {
  canary: {
    values: '`true`, `false`',
    meaning: 'This Ingress is the canary of the one that has the same host and path, in the same namespace.',
    default: '`false`',
  },
  'canary-by-header': {
    values: 'a header name',
    meaning: 'Requests whose header says `always` go to the canary, those with `never` to the primary Service.',
    default: 'none',
  },
  'canary-by-header-value': {
    values: 'a text',
    meaning: 'Requests whose header says exactly this go to the canary, in place of `always` and `never`.',
    default: 'none',
  },
  'canary-by-header-pattern': {
    values: 'an RE2 expression',
    meaning: 'As `canary-by-header-value`, for headers that match; ignored beside that.',
    default: 'none',
  },
  'canary-by-cookie': {
    values: 'a cookie name',
    meaning: 'Requests whose cookie says `always` go to the canary, those with `never` to the primary Service.',
    default: 'none',
  },
  'canary-weight': {
    values: 'a whole number',
    meaning: 'How many of `canary-weight-total` new sessions go to the canary.',
    default: '`0`',
  },
  'canary-weight-total': {
    values: 'a whole number above 100',
    meaning: 'What the weight is a part of.',
    default: '`100`',
  },
  'affinity-canary-behavior': {
    values: '`sticky`, `legacy`',
    meaning:
      '`sticky`: the policy of the primary Ingress covers the canary, and sessions stay on their side. `legacy`: the canary has no sessions, and header, cookie and weight choose for each request.',
    default: '`sticky`',
  },
} as const satisfies Record<string, CanaryAnnotation>;

type Name = keyof typeof CANARY_ANNOTATIONS;

export function isCanaryAnnotation(name: string): name is Name {
  return Object.hasOwn(CANARY_ANNOTATIONS, name);
}

/** Go's `strconv.ParseBool`, which ingress-nginx reads them with. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);
const NAME = new RegExp(`^${TOKEN}$`);
const MAX_WEIGHT = 1_000_000;
const DEFAULT_TOTAL = 100;

/**
 * undefined = the Ingress is no canary. A malformed value is reported, and its default holds.
 *
 * @param overrides `canary-overrides-session` of our own
 */
export function readCanary(meta: Meta, overrides: boolean, report: Report): Canary | undefined {
  const reader = new Reader(meta, report);
  if (!reader.isCanary()) {
    reader.reportLoose(overrides);
    return undefined;
  }
  const total = Math.max(DEFAULT_TOTAL, reader.number('canary-weight-total') ?? DEFAULT_TOTAL);
  return {
    header: reader.header(),
    cookie: reader.name('canary-by-cookie', 'a cookie name, such as `canary`'),
    weight: Math.min(total, reader.number('canary-weight') ?? 0),
    total,
    legacy: reader.isLegacy(),
    overrides,
  };
}

class Reader {
  readonly #annotations: Meta['annotations'];
  readonly #report: Report;

  constructor({ annotations }: Meta, report: Report) {
    this.#annotations = annotations;
    this.#report = report;
  }

  isCanary(): boolean {
    const text = this.#text('canary');
    const value = text === undefined ? false : BOOLEANS.get(text);
    if (value === undefined)
      this.#fault('canary', 'this is neither `true` nor `false`, so the Ingress is no canary; write one of them');
    return value ?? false;
  }

  /** What belongs to a canary on an Ingress that is none. */
  reportLoose(overrides: boolean): void {
    const names = (Object.keys(CANARY_ANNOTATIONS) as Name[]).filter(
      (name) => name !== 'canary' && this.#text(name) !== undefined,
    );
    const own = overrides ? [fieldOfSetting('canaryOverridesSession')] : [];
    for (const field of [...names.map((name) => this.#field(name)), ...own]) {
      const message = `this has no effect without \`${NGINX_PREFIX}canary: "true"\`; write that beside it, or remove this`;
      this.#report.warning(field, message);
    }
  }

  header(): Canary['header'] {
    const name = this.name('canary-by-header', 'a header name, such as `X-Canary`');
    const value = this.#text('canary-by-header-value');
    const pattern = this.#text('canary-by-header-pattern');
    if (name === undefined) {
      for (const one of ['canary-by-header-value', 'canary-by-header-pattern'] as const) {
        if (this.#text(one) === undefined) continue;
        this.#fault(
          one,
          `this says nothing without its header; write \`${NGINX_PREFIX}canary-by-header: NAME\` beside it`,
        );
      }
      return undefined;
    }
    if (value !== undefined) return { name: name.toLowerCase(), value };
    if (pattern === undefined) return { name: name.toLowerCase() };
    const problem = regexProblem(pattern);
    if (problem === undefined) return { name: name.toLowerCase(), pattern };
    this.#fault(
      'canary-by-header-pattern',
      `this is not a regular expression in RE2 syntax, so no header matches; correct it (${problem})`,
    );
    return undefined;
  }

  name(annotation: Name, wanted: string): string | undefined {
    const text = this.#text(annotation);
    if (text === undefined || NAME.test(text)) return text;
    this.#fault(annotation, `this is not ${wanted.slice(0, wanted.indexOf(','))}; write ${wanted}`);
    return undefined;
  }

  number(annotation: Name): number | undefined {
    const text = this.#text(annotation);
    if (text === undefined) return undefined;
    if (/^\d{1,7}$/.test(text) && Number(text) <= MAX_WEIGHT) return Number(text);
    this.#fault(annotation, `this is not a whole number up to ${MAX_WEIGHT}; write one such as \`10\``);
    return undefined;
  }

  isLegacy(): boolean {
    const text = this.#text('affinity-canary-behavior') ?? 'sticky';
    if (text !== 'sticky' && text !== 'legacy')
      this.#fault(
        'affinity-canary-behavior',
        'this value is not known, and `sticky` holds; write `sticky` or `legacy`',
      );
    return text === 'legacy';
  }

  #text(name: Name): string | undefined {
    const text = this.#annotations[NGINX_PREFIX + name]?.trim();
    return text === '' ? undefined : text;
  }

  #field(name: Name): string {
    return fieldOf(NGINX_PREFIX + name);
  }

  #fault(name: Name, message: string): void {
    this.#report.error(this.#field(name), message);
  }
}
