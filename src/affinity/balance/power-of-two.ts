/** PowerOfTwo: the less busy of two different random endpoints. */
import { twoChoices } from './two-choices.ts';

export const powerOfTwo = twoChoices((meters, slot) => meters.inFlight(slot));
