/** Schema of a `cookie` key: its fields, which mode uses which, and what browsers demand of them together. */
import { type Condition, constrain } from '../schema/constrain.ts';
import { cookieShape, type CookieShape, MODES } from './schema-fields.ts';

type Mode = (typeof MODES)[number];
type Field = Exclude<keyof CookieShape, 'mode'>;

/** Which mode uses which field; a field that its mode does not use is refused, because it would silently do nothing. */
export const COOKIE_FIELDS: Readonly<Record<Field, readonly Mode[]>> = {
  name: MODES,
  path: ['Insert'],
  domains: ['Insert'],
  secure: ['Insert'],
  httpOnly: ['Insert'],
  sameSite: ['Insert'],
  conditionalSameSiteNone: ['Insert'],
  partitioned: ['Insert'],
  maxAge: ['Insert'],
  attributes: ['Insert'],
  emit: ['Insert'],
  emitOn: ['Insert'],
  cacheable: ['Insert'],
  hideFromBackend: ['Insert', 'Rewrite', 'Passive', 'Hash', 'Table'],
  preserve: ['Insert'],
  delimiter: ['Prefix'],
  format: ['Insert', 'Rewrite', 'Prefix'],
  accept: ['Insert'],
  extract: ['Hash', 'Table', 'Learn'],
  hash: ['Hash'],
  table: ['Table', 'Learn'],
};

const MODE = "(has(self.mode) ? self.mode : 'Insert')";
const modeOf = (cookie: CookieShape): Mode => cookie.mode ?? 'Insert';

function usedByMode(field: Field): Condition<CookieShape> {
  const modes = COOKIE_FIELDS[field];
  return {
    cel: `!has(self.${field}) || ${MODE} in [${modes.map((mode) => `'${mode}'`).join(', ')}]`,
    holds: (cookie) => cookie[field] === undefined || modes.includes(modeOf(cookie)),
    message: `\`${field}\` is not used by this mode; leave it out, or write \`mode: ${modes.join('` or `mode: ')}\``,
    field,
  };
}

const partial = (Object.keys(COOKIE_FIELDS) as Field[]).filter((field) => COOKIE_FIELDS[field].length < MODES.length);

const hasPrefix = (cookie: CookieShape, prefix: string): boolean =>
  cookie.name?.toLowerCase().startsWith(prefix) === true;
const celPrefix = (prefix: string): string => `has(self.name) && self.name.lowerAscii().startsWith('${prefix}')`;

const ALWAYS = "has(self.secure) && self.secure == 'Always'";
const NONE = "has(self.sameSite) && self.sameSite == 'None'";

/** Without these browsers drop the cookie, and every request would look like a new client's. RFC 6265bis section 4.1.3. */
const browserRules: readonly Condition<CookieShape>[] = [
  {
    cel: `!(${NONE}) || (${ALWAYS})`,
    holds: (cookie) => cookie.sameSite !== 'None' || cookie.secure === 'Always',
    message: 'browsers drop a cookie with SameSite=None that is not Secure; write `secure: Always` beside it',
    field: 'sameSite',
  },
  {
    cel: `!(has(self.partitioned) && self.partitioned) || ((${ALWAYS}) && (${NONE}))`,
    holds: (cookie) => cookie.partitioned !== true || (cookie.secure === 'Always' && cookie.sameSite === 'None'),
    message:
      'a partitioned cookie must be Secure and SameSite=None; write `secure: Always` and `sameSite: None` beside it',
    field: 'partitioned',
  },
  {
    cel: `!(${celPrefix('__secure-')}) || ${MODE} != 'Insert' || (${ALWAYS})`,
    holds: (cookie) => !hasPrefix(cookie, '__secure-') || modeOf(cookie) !== 'Insert' || cookie.secure === 'Always',
    message: 'browsers drop a cookie named `__Secure-` that is not Secure; write `secure: Always` beside it',
    field: 'name',
  },
  {
    cel:
      `!(${celPrefix('__host-')}) || ${MODE} != 'Insert' || ((${ALWAYS}) && ` +
      `(!has(self.path) || self.path == '/') && (!has(self.domains) || size(self.domains) == 0))`,
    holds: (cookie) =>
      !hasPrefix(cookie, '__host-') ||
      modeOf(cookie) !== 'Insert' ||
      (cookie.secure === 'Always' && (cookie.path ?? '/') === '/' && (cookie.domains ?? []).length === 0),
    message:
      'a cookie named `__Host-` must be Secure, for `/`, and without a domain; write `secure: Always` and leave `path` and `domains` out',
    field: 'name',
  },
];

export const cookieSchema = constrain(
  cookieShape,
  {
    cel: `has(self.name) || ${MODE} == 'Insert'`,
    holds: (cookie) => cookie.name !== undefined || modeOf(cookie) === 'Insert',
    message: "this mode uses the application's own cookie; write its `name`",
    field: 'name',
  },
  ...partial.map(usedByMode),
  ...browserRules,
).describe(
  'A cookie is the key: one of ours that names the session, or one of the application that names it, carries our token, is hashed or looked up.',
);
