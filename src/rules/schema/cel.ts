/** Schema of an expression in CEL. */
import type { z } from 'zod';
import { celProblem } from '../cel/compile.ts';
import { constrain } from './constrain.ts';
import { MAX_PROGRAM, text } from './text.ts';

const EXAMPLES = {
  string: "a text; write one such as `request.headers['x-user']`",
  bool: "true or false; write one such as `request.path.startsWith('/api/')`",
};

/** Of what is in the text the API server knows nothing. */
export function cel(kind: keyof typeof EXAMPLES): z.ZodString {
  return constrain(text(MAX_PROGRAM), {
    holds: (value) => celProblem(value, kind) === undefined,
    why: (value) => celProblem(value, kind),
    message: `this is not a CEL expression that gives ${EXAMPLES[kind]}`,
  });
}
