/** Problems as a user reads them in a terminal. */
import { relative } from 'node:path';
import type { Problem } from '../model/problem.ts';

/** `error shop.yaml:12: StickyPolicy shop/shop, spec.session.idleTimeout: what is wrong and what to write instead`. */
export function problemText({ severity, location, object, field, message }: Problem): string {
  const where = location === undefined ? '' : ` ${shownPath(location.file)}:${location.line}:`;
  const name = object.namespace === '' ? object.name : `${object.namespace}/${object.name}`;
  const what = [object.kind, name].filter((part) => part !== '').join(' ');
  const subject = [what, field].filter((part) => part !== '').join(', ');
  const text = `${severity}${where} ${subject === '' ? '' : `${subject}: `}${message}`;
  // Names and values come from files: they must not steer the terminal.
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, ' ');
}

/** As short as it can be said from the working directory. */
export function shownPath(file: string): string {
  const short = relative(process.cwd(), file);
  return short === '' || short.startsWith('..') ? file : short;
}
