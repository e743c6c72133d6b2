/** The one source of the StickyPolicy API: what the program accepts, and what the CRD and the reference are made from. */
import { z } from 'zod';
import type { Rule } from '../model/sticky-policy.ts';
import { KEY_NAMES, KEY_SCHEMAS } from '../rules/schemas.ts';
import { type Condition, constrain } from '../rules/schema/constrain.ts';
import { duration, label, list, MAX_ITEMS, objectName, text } from '../rules/schema/text.ts';
import { parseDuration } from '../model/duration.ts';
import { backends } from './backends.ts';
import { when } from './when.ts';

export const GROUP = 'holdfast.dev';
export const VERSION = 'v1alpha1';

const targetRef = constrain(
  z.strictObject({
    group: z
      .enum(['networking.k8s.io', ''])
      .describe('API group: `networking.k8s.io` for an Ingress, empty for a Service.'),
    kind: z.enum(['Ingress', 'Service']).describe('Kind of the target.'),
    name: objectName.describe("Name of the target, in the policy's namespace."),
    sectionName: text(253)
      .optional()
      .describe(
        'A part of the target. Of an Ingress: a host as written there, or `*` for rules without host and the default backend. Of a Service: a port name or number.',
      )
      .meta({ defaultText: 'unset: the whole target' }),
  }),
  {
    cel: "(self.kind == 'Ingress') == (self.group == 'networking.k8s.io')",
    holds: (target) => (target.kind === 'Ingress') === (target.group === 'networking.k8s.io'),
    message:
      'this group has no such kind; write `group: networking.k8s.io` for an Ingress and `group: ""` for a Service',
    field: 'group',
  },
);

const session = constrain(
  z.strictObject({
    group: label
      .optional()
      .describe('Policies of this namespace with the same group share sessions.')
      .meta({ defaultText: 'unset: each Service of each policy has sessions of its own' }),
    stickTo: z
      .enum(['Pod', 'Version', 'Service'])
      .optional()
      .describe(
        'What a session stays at. Pod: one endpoint. Version: the endpoints of one version, balanced among them. Service: one of the weighted `backends`, or one side of a canary, balanced among all its endpoints. The version is as in `onEndpointLost.preferVersion`. A rule with `force` stays at its endpoint.',
      )
      .meta({ defaultText: 'Pod' }),
    identity: z
      .enum(['PodUID', 'PodName', 'Address'])
      .optional()
      .describe(
        'What makes an endpoint the same one. PodName: a pod of a StatefulSet keeps its sessions when it is made anew.',
      )
      .meta({ defaultText: 'PodUID' }),
    idleTimeout: duration
      .optional()
      .describe('A session ends when it has not been used for so long. `0s` = never.')
      .meta({ defaultText: 'unset: never' }),
    absoluteTimeout: duration
      .optional()
      .describe('A session ends so long after it began, used or not. `0s` = never.')
      .meta({ defaultText: 'unset: never' }),
  }),
  {
    cel:
      "!has(self.idleTimeout) || !has(self.absoluteTimeout) || duration(self.absoluteTimeout) == duration('0s') || " +
      'duration(self.idleTimeout) <= duration(self.absoluteTimeout)',
    holds: ({ idleTimeout, absoluteTimeout }) => {
      const idle = parseDuration(idleTimeout ?? '0s') ?? 0;
      const absolute = parseDuration(absoluteTimeout ?? '0s') ?? 0;
      return absolute === 0 || idle <= absolute;
    },
    message: '`idleTimeout` is longer than `absoluteTimeout` and could never end a session; write a shorter one',
    field: 'idleTimeout',
  },
).describe('What a session is and how long it lasts.');

const keyNames = KEY_NAMES.map((name) => `\`${name}\``).join(', ');

const oneKey: Condition<Pick<Rule, (typeof KEY_NAMES)[number]>> = {
  cel: `${KEY_NAMES.map((name) => `(has(self.${name}) ? 1 : 0)`).join(' + ')} <= 1`,
  holds: (rule) => KEY_NAMES.filter((name) => rule[name] !== undefined).length <= 1,
  message: `a rule has one key at most; write one of ${keyNames}`,
};

const saysSomething: Condition<Omit<Rule, 'name'>> = {
  cel: ['when', 'backends', ...KEY_NAMES].map((name) => `has(self.${name})`).join(' || '),
  holds: (rule) => (['when', 'backends', ...KEY_NAMES] as const).some((name) => rule[name] !== undefined),
  message: `this rule says nothing; write \`backends\` or a key: one of ${keyNames}`,
};

const rule = constrain(
  z.strictObject({
    name: label.describe('Name of the rule, unique in the policy; also its name in metrics.'),
    when: when.optional().meta({ defaultText: 'unset: every request' }),
    onMissing: z
      .enum(['Next', 'Balance', 'Reject'])
      .optional()
      .describe(
        'What to do with a request of this rule that does not carry the key. Next: go on with the next rule; Balance: choose an endpoint freely; Reject: refuse it.',
      )
      .meta({ defaultText: 'Next' }),
    force: z
      .boolean()
      .optional()
      .describe(
        "The endpoint that this rule finds is used whatever its state, never another one (HAProxy's force-persist).",
      )
      .meta({ defaultText: 'false' }),
    backends: backends.optional().meta({ defaultText: 'unset: the Service of the path, or what a later rule says' }),
    ...KEY_SCHEMAS,
  }),
  oneKey,
  saysSomething,
  {
    cel: "!(has(self.force) && self.force) || !has(self.onMissing) || self.onMissing != 'Reject'",
    holds: ({ force, onMissing }) => force !== true || onMissing !== 'Reject',
    message:
      '`force` and `onMissing: Reject` together leave a new client no way in; write `onMissing: Next` or leave `force` out',
    field: 'force',
  },
);

const rules = constrain(list(rule, MAX_ITEMS, 0), {
  cel: 'self.all(one, self.exists_one(other, other.name == one.name))',
  holds: (all) => new Set(all.map((one) => one.name)).size === all.length,
  message: 'two rules have the same name; write a name of its own for each',
});

const newSession = constrain(
  z.strictObject({
    algorithm: z
      .enum(['LeastRequests', 'LeastSessions', 'RoundRobin', 'Random', 'PowerOfTwo', 'PeakEwma'])
      .optional()
      .describe('How the first endpoint is chosen.')
      .meta({ defaultText: 'LeastRequests' }),
    slowStart: duration
      .optional()
      .describe(
        'The share of new sessions that an endpoint gets grows linearly for so long after it has become Ready. Sessions that move do not mind.',
      )
      .meta({ defaultText: 'unset: a full share at once' }),
    maxSessionsPerEndpoint: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe(
        'An endpoint with so many sessions gets no new ones; sessions that it has are never refused. Each Ready replica of the controller fills its equal part, rounded up.',
      )
      .meta({ defaultText: 'unset: any number' }),
    onFull: z
      .enum(['Overflow', 'Reject'])
      .optional()
      .describe(
        'When all Ready endpoints are full. Overflow: one of them takes the session all the same. Reject: the client is answered 503 with Retry-After.',
      )
      .meta({ defaultText: 'Overflow' }),
  }),
  {
    cel: '!has(self.onFull) || has(self.maxSessionsPerEndpoint)',
    holds: (value) => value.onFull === undefined || value.maxSessionsPerEndpoint !== undefined,
    message:
      'no endpoint is ever full without a limit; write `maxSessionsPerEndpoint` beside it, or leave `onFull` out',
    field: 'onFull',
  },
).describe('How a client without a session gets its first endpoint.');

const rebalance = constrain(
  z.strictObject({
    maxMovesPerMinute: z
      .int()
      .min(1)
      .max(6000)
      .describe(
        'At most so many sessions move in a minute; each Ready replica of the controller moves its equal part.',
      ),
    idleFor: duration.describe('Only sessions that have not been used for so long move; at least `1s`.'),
  }),
  {
    cel: "duration(self.idleFor) >= duration('1s')",
    holds: ({ idleFor }) => (parseDuration(idleFor) ?? 0) >= 1000,
    message: 'sessions in use would move; write at least `1s`, better minutes',
    field: 'idleFor',
  },
);

export const specSchema = z
  .strictObject({
    targetRefs: list(targetRef)
      .optional()
      .describe(
        'What the policy is for, in its own namespace. An Ingress may also name the policy by the annotation `holdfast.dev/sticky-policy`.',
      )
      .meta({ defaultText: 'none' }),
    session: session.optional(),
    rules: rules
      .optional()
      .describe(
        'How a request finds its session. Rules are read in order; the first that is for the request and yields an endpoint decides. The first rule with a cookie of mode Insert that is for the request puts its cookie on the answer, whichever rule decided. The first rule with `backends` that is for the request says which Services it is divided among. A rule without a key finds no session.',
      )
      .meta({ defaultText: 'one cookie in mode Insert with all its defaults' }),
    newSession: newSession.optional(),
    onEndpointLost: z
      .strictObject({
        action: z
          .enum(['Reassign', 'Reject'])
          .optional()
          .describe(
            'Reassign: the session moves to another endpoint. Reject: it never does, and its requests are refused.',
          )
          .meta({ defaultText: 'Reassign' }),
        statusCode: z
          .int()
          .min(400)
          .max(599)
          .optional()
          .describe('Status of the answer when the action is Reject.')
          .meta({ defaultText: '503' }),
        notReadyGrace: duration
          .optional()
          .describe('An endpoint that is not ready or cannot be connected to keeps its sessions for so long.')
          .meta({ defaultText: '3s' }),
        goneGrace: duration
          .optional()
          .describe(
            'Requests of an endpoint that has vanished wait for so long, from when it did, for one of the same identity: at most 100 for each endpoint, the others are answered 503 with Retry-After.',
          )
          .meta({ defaultText: '0s; 30s with `identity: PodName`' }),
        preferVersion: z
          .enum(['Any', 'Same', 'Newest'])
          .optional()
          .describe(
            'Which pods a session that moves goes to first, as long as one of them is Ready. Same: those of its version; Newest: those of the version of the pod that was made last, so that a rolling update moves each session once, at the cost of balance. The version is the label `pod-template-hash`, else `controller-revision-hash`, of the pod.',
          )
          .meta({ defaultText: 'Any' }),
      })
      .optional()
      .describe("What happens when a session's endpoint can no longer serve."),
    drain: z
      .strictObject({
        action: z
          .enum(['Keep', 'Move'])
          .optional()
          .describe('Keep: sessions stay on a draining endpoint while it serves. Move: they move at once.')
          .meta({ defaultText: 'Keep' }),
        maxDuration: duration
          .optional()
          .describe('After so long, sessions that stayed move all the same. `0s` = no limit.')
          .meta({ defaultText: 'unset: no limit' }),
      })
      .optional()
      .describe('What happens to the sessions of an endpoint that terminates but still serves.'),
    retry: z
      .strictObject({
        attempts: z
          .int()
          .min(0)
          .max(5)
          .optional()
          .describe('Further endpoints that are tried when one cannot be connected to.')
          .meta({ defaultText: '2' }),
        changeOnFailure: z
          .boolean()
          .optional()
          .describe('false: a session never moves because its endpoint cannot be connected to; the answer is 502.')
          .meta({ defaultText: 'true' }),
      })
      .optional()
      .describe('What happens when an endpoint cannot be connected to.'),
    rebalance: rebalance
      .optional()
      .describe(
        'Idle sessions leave endpoints that have clearly more than their share (above 1.2 times the mean of the Ready ones, and at least one above it) for one below the mean. For sessions of a cookie in mode Insert, and for keys of modes Table and Learn; not with `force`.',
      )
      .meta({ defaultText: 'unset: sessions stay' }),
  })
  .describe('How requests of the targets keep their endpoint.');
