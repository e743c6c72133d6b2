/** Schema of a rule's `when`: which requests the rule is for. */
import { z } from 'zod';
import { cel } from '../rules/schema/cel.ts';
import { constrain } from '../rules/schema/constrain.ts';
import { cidr, cookieName, form, headerName, host, list, MAX_TEXT, method, regex, text } from '../rules/schema/text.ts';

const pathPrefix = constrain(
  text(),
  form(
    '^/[^?#\\x00-\\x20\\x7F]*$',
    'a path prefix is matched against the path alone; write one that starts with `/`, without query and spaces',
  ),
);

const pathSuffix = constrain(
  text(),
  form(
    '^[^?#\\x00-\\x20\\x7F]+$',
    'a path suffix is matched against the path alone; write one such as `.css`, without query and spaces',
  ),
);

function valueMatch<S extends z.ZodType<string>>(name: S, what: string) {
  return constrain(
    z.strictObject({
      name: name.describe(`Name of the ${what}.`),
      value: z.string().max(MAX_TEXT).optional().describe('Holds when the value is exactly this.'),
      regex: regex.optional().describe('Holds when this RE2 expression matches a part of the value.'),
      present: z.boolean().optional().describe(`true: holds when the ${what} is there; false: when it is not.`),
    }),
    {
      cel: '(has(self.value) ? 1 : 0) + (has(self.regex) ? 1 : 0) + (has(self.present) ? 1 : 0) == 1',
      holds: ({ value, regex: pattern, present }) =>
        [value, pattern, present].filter((given) => given !== undefined).length === 1,
      message: 'write exactly one of `value`, `regex` and `present` beside the name',
    },
  );
}

const block = z.strictObject({
  hosts: list(host).optional().describe('Hosts: exact, or `*.` for one label.'),
  pathPrefixes: list(pathPrefix)
    .optional()
    .describe('Beginnings of the path, by characters; the path is normalised and without query.'),
  pathSuffixes: list(pathSuffix).optional().describe('Ends of the path, by characters.'),
  ignoreCase: z
    .boolean()
    .optional()
    .describe('Letter case in `pathPrefixes`, `pathSuffixes` and `pathRegex` does not matter.')
    .meta({ defaultText: 'false' }),
  pathRegex: regex
    .optional()
    .describe('An RE2 expression that matches a part of the path; anchor it with `^` and `$`.'),
  methods: list(method).optional().describe('Methods, in capitals.'),
  headers: list(valueMatch(headerName, 'header')).optional().describe('Headers; of a repeated one any value counts.'),
  cookies: list(valueMatch(cookieName, 'cookie')).optional().describe('Cookies; of a repeated one any value counts.'),
  query: list(valueMatch(text(), 'query parameter'))
    .optional()
    .describe('Query parameters; of a repeated one any value counts.'),
  sourceCIDRs: list(cidr).optional().describe("Networks of the client's address."),
  ports: list(z.int().min(1).max(65_535))
    .optional()
    .describe(
      'Public ports, which clients see: `--public-http-port`, or what a trusted proxy says in `X-Forwarded-Port`.',
    ),
  cel: cel('bool')
    .optional()
    .describe(
      "An expression in CEL that gives true or false, such as `request.headers['x-plan'] in ['gold', 'silver']`. An error, such as a header that is not there, means that it does not hold.",
    ),
});

type Block = z.output<typeof block>;

const caseBesidePaths = {
  cel: '!has(self.ignoreCase) || has(self.pathPrefixes) || has(self.pathSuffixes) || has(self.pathRegex)',
  holds: (value: Block) =>
    value.ignoreCase === undefined ||
    value.pathPrefixes !== undefined ||
    value.pathSuffixes !== undefined ||
    value.pathRegex !== undefined,
  message:
    '`ignoreCase` is about paths only; write `pathPrefixes`, `pathSuffixes` or `pathRegex` beside it, or leave it out',
  field: 'ignoreCase',
};

const CONDITIONS = (Object.keys(block.shape) as (keyof Block)[]).filter((field) => field !== 'ignoreCase');

/** Nothing at all holds for every request, and its `not` for none. */
const not = constrain(block, caseBesidePaths, {
  cel: CONDITIONS.map((field) => `has(self.${field})`).join(' || '),
  holds: (value) => CONDITIONS.some((field) => value[field] !== undefined),
  message: 'without a condition here the rule would be for no request; write one, or leave `not` out',
});

export const when = constrain(
  block.extend({
    not: not.optional().describe('The rule is not for requests of which all of this holds.'),
  }),
  caseBesidePaths,
).describe('Which requests the rule is for: all given fields must hold, and of each list any member.');
