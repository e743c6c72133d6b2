/** The fields of a `cookie` key, each by itself. */
import { z } from 'zod';
import { acceptedCookie } from './schema-accept.ts';
import { extract } from '../schema/extract.ts';
import { constrain } from '../schema/constrain.ts';
import { hash, table } from '../schema/mode.ts';
import { cookieName, durationFromOneSecond, form, list, method, text, TOKEN } from '../schema/text.ts';

export const MODES = ['Insert', 'Rewrite', 'Prefix', 'Passive', 'Hash', 'Table', 'Learn'] as const;

/** RFC 3986 path characters without `;`, which would begin another attribute, and without those that are read as patterns (T14, T25). */
const path = constrain(
  text(),
  form(
    "^/[A-Za-z0-9._~!&'+,=:@%/-]*$",
    'a cookie path is a plain path; write `/` or one such as `/shop`, without `;`, spaces and the characters of patterns',
  ),
);

/** A Domain of one label is a public suffix: browsers drop such a cookie (T26). */
const domain = constrain(
  text(253),
  form(
    '^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z]([-a-z0-9]*[a-z0-9])?$',
    'this is not a domain that a browser accepts; write at least two labels in lower case without a leading dot, such as `shop.example`',
  ),
);

const attribute = constrain(
  text(),
  form(
    `^${TOKEN}(=[\\x20-\\x3A\\x3C-\\x7E]*)?$`,
    'this is not a cookie attribute; write `Name` or `Name=value` in printable ASCII without `;`',
  ),
  {
    cel: `!self.lowerAscii().matches(r"^(path|domain|max-age|expires|httponly|secure|samesite|partitioned)(=|$)")`,
    holds: (value) => !/^(path|domain|max-age|expires|httponly|secure|samesite|partitioned)(=|$)/i.test(value),
    message: 'this attribute has a field of its own; write that field of the cookie instead',
  },
);

/** In neither format's alphabet, and allowed in a cookie's value (RFC 6265 section 4.1.1). */
const delimiter = constrain(
  text(1),
  form(
    '^[~!#$%&*+/@^]$',
    'this is not a delimiter; write one of `~`, `!`, `#`, `$`, `%`, `&`, `*`, `+`, `/`, `@` or `^`',
  ),
);

const emitOn = constrain(
  z.strictObject({
    methods: list(method).optional().describe('Only on answers to requests with one of these methods.'),
    statusBelow: z.int().min(200).max(600).optional().describe('Only on answers with a lower status.'),
  }),
  {
    cel: 'has(self.methods) || has(self.statusBelow)',
    holds: (value) => value.methods !== undefined || value.statusBelow !== undefined,
    message: 'there is no condition here; write `methods`, `statusBelow` or both, or leave `emitOn` out',
  },
);

export const cookieShape = z.strictObject({
  name: cookieName
    .optional()
    .describe('Name of the cookie, an RFC 6265 token; letter case matters. Required in all modes but Insert.')
    .meta({ defaultText: '`hf-` and 8 hex digits made from the scope' }),
  mode: z
    .enum(MODES)
    .optional()
    .describe(
      'Insert: we set a cookie that names the session. Rewrite: when the application sets the cookie, its value becomes our token. Prefix: when the application sets the cookie, our token is put in front of its value, and taken off again on requests. Passive: the application writes the cookie in format Plain, and we only read it. Hash: the value of a cookie that the application sets is hashed over the endpoints. Table: the session table keeps which endpoint that value has. Learn: as Table, but only values that an answer of the application has set are sessions, with the endpoint that answered.',
    )
    .meta({ defaultText: 'Insert' }),
  path: path.optional().describe("The cookie's Path.").meta({ defaultText: '/' }),
  domains: list(domain, 4, 0)
    .optional()
    .describe("The cookie's Domain: the one of these that covers the request's host is written.")
    .meta({ defaultText: 'none: the host itself' }),
  secure: z
    .enum(['Auto', 'Always', 'Never'])
    .optional()
    .describe('The Secure attribute. Auto: on answers to requests that came over TLS, here or at a trusted proxy.')
    .meta({ defaultText: 'Auto' }),
  httpOnly: z.boolean().optional().describe('The HttpOnly attribute.').meta({ defaultText: 'true' }),
  sameSite: z
    .enum(['Lax', 'Strict', 'None', 'Unset'])
    .optional()
    .describe('The SameSite attribute. None needs `secure: Always`; Unset writes none.')
    .meta({ defaultText: 'Lax' }),
  conditionalSameSiteNone: z
    .boolean()
    .optional()
    .describe('Leaves SameSite=None out for browsers known to mishandle it.')
    .meta({ defaultText: 'false' }),
  partitioned: z
    .boolean()
    .optional()
    .describe('The Partitioned attribute (CHIPS). Needs `sameSite: None` and `secure: Always`.')
    .meta({ defaultText: 'false' }),
  maxAge: durationFromOneSecond('a browser-session cookie')
    .optional()
    .describe('Lifetime in the browser, written as Max-Age and Expires, and renewed before it runs out.')
    .meta({ defaultText: 'unset: until the browser is closed' }),
  attributes: list(attribute, 16, 0)
    .optional()
    .describe('Further attributes, written as they are, such as `Priority=High`.')
    .meta({ defaultText: 'none' }),
  emit: z
    .enum(['OnChange', 'Always'])
    .optional()
    .describe('When the cookie is written. OnChange: for a new or moved session and when a renewal is due.')
    .meta({ defaultText: 'OnChange' }),
  emitOn: emitOn
    .optional()
    .describe('Limits which answers may carry the cookie of a new or moved session.')
    .meta({ defaultText: 'unset: all of them' }),
  cacheable: z
    .enum(['MarkPrivate', 'Skip', 'Ignore'])
    .optional()
    .describe(
      'What happens when the answer could be cached. MarkPrivate adds `Cache-Control: private`; Skip writes no cookie.',
    )
    .meta({ defaultText: 'MarkPrivate' }),
  hideFromBackend: z
    .boolean()
    .optional()
    .describe('Removes the cookie from the request; all other cookies stay as they are.')
    .meta({ defaultText: 'true in mode Insert, else false' }),
  preserve: z
    .boolean()
    .optional()
    .describe(
      'A cookie of this name that the application sets itself wins over ours: a value in format Plain that names an endpoint leads there, any other ends the session.',
    )
    .meta({ defaultText: 'false: it is removed from the answer' }),
  delimiter: delimiter
    .optional()
    .describe("The character between our token and the application's value.")
    .meta({ defaultText: '~' }),
  format: z
    .enum(['Signed', 'Plain'])
    .optional()
    .describe(
      "Signed: opaque to clients and backends, and not to be forged. Plain: `id`, or `id|lastSeen|firstSeen` in Unix seconds where the policy has timeouts; the id is the pod's annotation `holdfast.dev/cookie-value`, else its name, else `address:port`. Anybody can forge it.",
    )
    .meta({ defaultText: 'Signed' }),
  accept: list(acceptedCookie, 16, 0)
    .optional()
    .describe(
      'Cookies of another product that name the endpoint of clients who do not have ours yet; they get ours then. Anybody can forge them.',
    )
    .meta({ defaultText: 'none' }),
  extract: extract.optional(),
  hash: hash.optional(),
  table: table.optional(),
});

export type CookieShape = z.output<typeof cookieShape>;
