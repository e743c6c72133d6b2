/** Makes the CustomResourceDefinition of StickyPolicy from its schema. */
import { type JsonSchema, specJsonSchema } from './json-schema.ts';
import { STATUS_SCHEMA } from './crd-status.ts';
import { GROUP, VERSION } from './sticky-policy.ts';

/** Keywords a structural schema may hold and ours does, in the order they are written. */
const KEPT = [
  'description',
  'type',
  'format',
  'enum',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;

/** Left out on purpose: the API server refuses unknown fields by itself (`fieldValidation: Strict`), and the CRD holds no defaults. */
const DROPPED: ReadonlySet<string> = new Set(['propertyNames', 'defaultText', 'typeText']);
const NESTED: ReadonlySet<string> = new Set(['properties', 'additionalProperties', 'required', 'items']);

/** A structural schema; throws on any keyword whose meaning in a CRD has not been thought about. */
export function toStructural(schema: JsonSchema): JsonSchema {
  for (const keyword of Object.keys(schema)) {
    if ((KEPT as readonly string[]).includes(keyword) || DROPPED.has(keyword) || NESTED.has(keyword)) continue;
    throw new TypeError(`the CRD cannot hold the keyword ${keyword}`);
  }
  const structural: Record<string, unknown> = {};
  for (const keyword of KEPT) {
    const value = schema[keyword];
    if (value !== undefined && !(keyword === 'minItems' && value === 0)) structural[keyword] = value;
  }
  if (schema.required !== undefined) structural['required'] = schema.required;
  if (schema.items !== undefined) structural['items'] = toStructural(schema.items);
  // `false` is what the API server does by itself; a schema makes a map.
  if (typeof schema.additionalProperties === 'object') {
    structural['additionalProperties'] = toStructural(schema.additionalProperties);
  }
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length > 0) {
    structural['properties'] = Object.fromEntries(properties.map(([name, member]) => [name, toStructural(member)]));
  }
  return structural;
}

function condition(type: string): string {
  return `.status.ancestors[0].conditions[?(@.type=="${type}")].status`;
}

/** The whole CRD as a plain object, ready to be written as YAML. */
export function stickyPolicyCrd(): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `stickypolicies.${GROUP}`, labels: { 'gateway.networking.k8s.io/policy': 'Direct' } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: 'StickyPolicy',
        listKind: 'StickyPolicyList',
        plural: 'stickypolicies',
        singular: 'stickypolicy',
        shortNames: ['stp'],
        categories: ['holdfast'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[0].name' },
            { name: 'Accepted', type: 'string', jsonPath: condition('Accepted') },
            { name: 'Programmed', type: 'string', jsonPath: condition('Programmed') },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: { openAPIV3Schema: rootSchema() },
        },
      ],
    },
  };
}

function rootSchema(): JsonSchema {
  return {
    description: 'StickyPolicy says how the requests of Ingresses and Services keep their endpoint.',
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', maxLength: 256, description: `${GROUP}/${VERSION}` },
      kind: { type: 'string', maxLength: 256, description: 'StickyPolicy' },
      metadata: { type: 'object' },
      spec: toStructural(specJsonSchema()),
      status: toStructural(STATUS_SCHEMA),
    },
  };
}
