/** Conditions that a schema's structure cannot say, each written once for both readers: our zod schema and the CRD's CEL rules. */
import type { z } from 'zod';

/** One condition. `holds` and `cel` say the same thing, side by side, so that neither can be changed without seeing the other. */
export interface Condition<T> {
  /** CEL over `self`, true when the value is fine; unset = only the program can tell, and the API server takes it. */
  readonly cel?: string;
  readonly holds: (value: T) => boolean;
  /** One sentence: what is wrong and what to write instead. The API server and `check` print the same text. */
  readonly message: string;
  /** Details that only the program knows, put behind the message. */
  readonly why?: (value: T) => string | undefined;
  /** The field to blame, below the constrained value; unset = the value itself. */
  readonly field?: string;
}

/** As in the CRD: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules */
interface CelValidation {
  readonly rule: string;
  readonly message: string;
  readonly reason?: 'FieldValueInvalid';
  readonly fieldPath?: string;
}

/** The metadata key under which a schema carries its CEL rules; also the CRD's own name for them. */
export const VALIDATIONS = 'x-kubernetes-validations';

export function constrain<S extends z.ZodType>(schema: S, ...conditions: readonly Condition<z.output<S>>[]): S {
  const checked = schema.check((payload) => {
    for (const { holds, message, why, field } of conditions) {
      if (holds(payload.value)) continue;
      const path = field === undefined ? [] : [field];
      const details = why?.(payload.value);
      const said = details === undefined ? message : `${message} (${details})`;
      payload.issues.push({ code: 'custom', input: payload.value, message: said, path, continue: true });
    }
  });
  return checked.meta({ [VALIDATIONS]: [...validationsOf(schema), ...conditions.flatMap(toCel)] });
}

/** The CEL rules that a schema carries already. */
function validationsOf(schema: z.ZodType): readonly CelValidation[] {
  const carried = schema.meta()?.[VALIDATIONS];
  return Array.isArray(carried) ? (carried as CelValidation[]) : [];
}

function toCel<T>({ cel, message, field }: Condition<T>): CelValidation[] {
  if (cel === undefined) return [];
  return field === undefined
    ? [{ rule: cel, message }]
    : [{ rule: cel, message, reason: 'FieldValueInvalid', fieldPath: `.${field}` }];
}
