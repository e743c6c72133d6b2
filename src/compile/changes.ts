/** What differs between two maps of immutable objects, told by their identity. */

/** Keys that are new, gone, or lead to another object. */
export function* changedKeys<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): Generator<string> {
  if (before === after) return;
  for (const [key, value] of after) if (before.get(key) !== value) yield key;
  for (const key of before.keys()) if (!after.has(key)) yield key;
}
