/** Schema of a StickyPolicy's status: one entry per target and controller, as in Gateway API's PolicyStatus (GEP-713). */
import type { JsonSchema } from './json-schema.ts';

const text = (maxLength: number, description: string): JsonSchema => ({ type: 'string', maxLength, description });

/** https://gateway-api.sigs.k8s.io/reference/spec/#parentreference */
const ancestorRef: JsonSchema = {
  description: 'The target that the entry is about.',
  type: 'object',
  required: ['name'],
  properties: {
    group: text(253, 'API group of the target.'),
    kind: text(63, 'Kind of the target.'),
    namespace: text(63, 'Namespace of the target.'),
    name: text(253, 'Name of the target.'),
    sectionName: text(253, 'Part of the target, as the policy names it.'),
  },
};

/** Bounds of metav1.Condition. */
const condition: JsonSchema = {
  type: 'object',
  required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
  properties: {
    type: text(316, 'Accepted, ResolvedRefs or Programmed.'),
    status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether the condition holds.' },
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'The generation of the policy that the condition is about.',
    },
    lastTransitionTime: {
      type: 'string',
      format: 'date-time',
      maxLength: 64,
      description: 'When the status last changed.',
    },
    reason: text(1024, 'Why, in one word.'),
    message: text(32768, 'Why, in a sentence.'),
  },
};

/** GEP-713's bound. */
export const MAX_ANCESTORS = 16;

export const STATUS_SCHEMA: JsonSchema = {
  description: 'What the controllers that serve the targets say about the policy.',
  type: 'object',
  properties: {
    ancestors: {
      description: 'One entry per target and controller; each controller writes its own.',
      type: 'array',
      maxItems: MAX_ANCESTORS,
      'x-kubernetes-list-type': 'atomic',
      items: {
        type: 'object',
        required: ['ancestorRef', 'controllerName'],
        properties: {
          ancestorRef,
          controllerName: text(253, 'The controller that writes the entry.'),
          conditions: {
            description: 'Whether the policy is accepted and live at this target.',
            type: 'array',
            maxItems: 8,
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['type'],
            items: condition,
          },
        },
      },
    },
  },
};
