/** Annotations that are not acted on, and those among them that restrict access: an Ingress that asks for protection it would not get is closed. */
import type { Report } from '../project/fields.ts';
import { PREFIX } from './table.ts';

export const NGINX_PREFIX = 'nginx.ingress.kubernetes.io/';

/** Names behind either prefix whose purpose is to keep someone out. */
const RESTRICTIVE = /^(?:auth-.*|.*-source-range|limit-.*|satisfy|enable-modsecurity)$/;

/** True for names that are not ours to read: ingress-nginx's, and any too dangerous to be taken for a misspelling. */
export function isForeign(name: string): boolean {
  if (name.startsWith(NGINX_PREFIX)) return true;
  return RESTRICTIVE.test(name.slice(PREFIX.length));
}

/** True for an annotation that asks to keep someone out. */
export function restricts(name: string, value: string): boolean {
  if (name === 'enable-modsecurity' && value.trim().toLowerCase() === 'false') return false;
  return RESTRICTIVE.test(name);
}

/** What comes of an annotation that restricts access and cannot be honoured (`open`: restrictions close nothing). */
export function consequence(open: boolean): string {
  return open
    ? '--allow-unsupported-annotations is set, so the routes of this Ingress are open to everybody'
    : 'until then the routes of this Ingress are closed and answer 503';
}

/** Reports a foreign annotation (`open`: restrictions close nothing); true = it restricts access, so the Ingress's routes must not be served. */
export function reportForeign(name: string, value: string, field: string, report: Report, open: boolean): boolean {
  if (restricts(name.slice(name.indexOf('/') + 1), value)) {
    if (open) {
      report.warning(field, `this restricts access and is not supported yet; ${consequence(open)}`);
      return false;
    }
    report.error(
      field,
      'this restricts access and is not supported yet, so the routes of this Ingress are closed and answer 503; remove it, or set --allow-unsupported-annotations, to open them',
    );
    return true;
  }
  report.warning(field, 'this is not supported yet and has no effect; remove it');
  return false;
}
