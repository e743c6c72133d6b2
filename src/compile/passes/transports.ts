/** Pass 2, second half: how each Ingress wants its endpoints spoken to. */
import type { BackendWish } from '../../api/annotations/backend.ts';
import { objectKey } from '../../model/ids.ts';
import type { Ingress, Secret } from '../../model/resources.ts';
import type { RouteTransport, UpstreamTls } from '../../model/transport.ts';
import type { ProblemReport } from '../report.ts';
import type { NamedSecrets } from './named-secrets.ts';

const CLOSED = 'until then the routes of this Ingress answer 503';

export class Transports {
  readonly #secrets: NamedSecrets;
  readonly #report: ProblemReport;
  readonly #of = new Map<Ingress, RouteTransport>();
  readonly #tls = new Map<string, UpstreamTls>();

  constructor(secrets: NamedSecrets, report: ProblemReport) {
    this.#secrets = secrets;
    this.#report = report;
  }

  /** False = it cannot be had, and the routes of the Ingress must be closed: nobody asks for verification to go without it. */
  add(ingress: Ingress, wish: BackendWish): boolean {
    const secret = this.#secretOf(ingress, wish);
    if (secret === null) return false;
    const authorities = this.#authoritiesOf(ingress, wish, secret);
    if (authorities === null) return false;
    const protocol = wish.protocol?.value;
    const sendsName = wish.sendsName || (wish.verify === 'own' && authorities !== undefined);
    const pair = secret?.certificate && { chain: secret.certificate.chain, key: secret.certificate.key };
    if (authorities === undefined && pair === undefined && !sendsName) {
      if (protocol !== undefined) this.#of.set(ingress, { protocol, tls: undefined });
      return true;
    }
    const { name } = wish;
    const source = secret === undefined ? '-' : objectKey(secret.meta.namespace, secret.meta.name);
    const id = [source, authorities === undefined ? 'any' : 'verified', name ?? '-', sendsName ? 'sent' : '-'].join(
      ' ',
    );
    this.#tls.set(id, { id, authorities, pair, name, sendsName });
    this.#of.set(ingress, { protocol, tls: id });
    return true;
  }

  /** undefined = its annotations say nothing about it. */
  of(ingress: Ingress | undefined): RouteTransport | undefined {
    return ingress && this.#of.get(ingress);
  }

  /** By id. */
  get tls(): ReadonlyMap<string, UpstreamTls> {
    return this.#tls;
  }

  /** undefined = none is named; null = one is named that cannot be used. */
  #secretOf(ingress: Ingress, { secret: named }: BackendWish): Secret | undefined | null {
    if (named === undefined) return undefined;
    const found = this.#secrets.find(ingress, named.value);
    const useless =
      typeof found !== 'string' && found.authorities === undefined && found.certificate === undefined
        ? 'this Secret has neither `ca.crt` nor `tls.crt` with `tls.key`; put in what TLS to endpoints shall use'
        : undefined;
    const fault = typeof found === 'string' ? found : useless;
    if (typeof found !== 'string' && fault === undefined) return found;
    this.#report.error(ingress, named.field, `${fault ?? ''}; ${CLOSED}`);
    return null;
  }

  /** undefined = nothing is to be verified; null = there is nothing to verify with. */
  #authoritiesOf(ingress: Ingress, { verify }: BackendWish, secret: Secret | undefined): string | undefined | null {
    if (verify === 'own') return secret?.authorities;
    if (verify?.value !== true) return undefined;
    if (secret?.authorities !== undefined) return secret.authorities;
    const message = 'there is nothing to verify with; name a Secret that has `ca.crt` in `proxy-ssl-secret`';
    this.#report.error(ingress, verify.field, `${message}; ${CLOSED}`);
    return null;
  }
}
