/** Pass 4: which certificates each host of `spec.tls` is served by, and which hosts are to be reached over HTTPS. */
import type { Certificate, KeyType, TableCertificate, TlsHost } from '../../model/certificate.ts';
import { objectKey, type ObjectKey } from '../../model/ids.ts';
import type { Ingress, Secret } from '../../model/resources.ts';
import type { Table } from '../../model/table.ts';
import type { CompileOptions } from '../options.ts';
import { nameOf, type ProblemReport } from '../report.ts';
import { hostFault, normalizeRuleHost } from './hosts.ts';

/** A certificate of a host and the Ingress that names it. */
interface Claim {
  readonly owner: Ingress;
  readonly secret: ObjectKey;
  readonly keyType: KeyType;
}

export class Certificates {
  readonly #secrets: ReadonlyMap<ObjectKey, Secret>;
  readonly #options: CompileOptions;
  readonly #report: ProblemReport;
  /** By host, one for each type of key; a host may be named without a certificate that can be served. */
  readonly #hosts = new Map<string, Claim[]>();
  readonly #used = new Map<ObjectKey, TableCertificate>();

  constructor(secrets: ReadonlyMap<ObjectKey, Secret>, options: CompileOptions, report: ProblemReport) {
    this.#secrets = secrets;
    this.#options = options;
    this.#report = report;
  }

  /** To be called oldest first: of two certificates with one type of key the older Ingress's is used. */
  add(ingress: Ingress): void {
    if (ingress.tls.length > 0 && this.#options.httpsPort === undefined) {
      const message =
        'TLS is not terminated with `--https-port off`, so the hosts of this Ingress are served over plain HTTP; terminate TLS in front of Holdfast, or remove `tls`.';
      this.#report.warning(ingress, 'spec.tls', message);
      return;
    }
    for (const [index, { secretName }] of ingress.tls.entries()) {
      const field = `spec.tls[${index}]`;
      const certificate = secretName === '' ? undefined : this.#certificateOf(ingress, secretName, field);
      for (const host of this.#hostsOf(ingress, index)) this.#claim(ingress, host, secretName, certificate, field);
    }
  }

  /** Whether the host of a route is named by somebody's `tls`, or covered by a wildcard of its own Ingress's. */
  covers(ingress: Ingress, host: string): boolean {
    if (host === '' || this.#options.httpsPort === undefined) return false;
    if (this.#hosts.has(host)) return true;
    const wildcard = `*${host.slice(host.indexOf('.'))}`;
    return ingress.tls.some(({ hosts }) => hosts.some((named) => normalizeRuleHost(named) === wildcard));
  }

  finish(): Pick<Table, 'tlsHosts' | 'certificates'> {
    const tlsHosts = new Map<string, TlsHost>();
    for (const [host, claims] of this.#hosts)
      if (claims.length > 0) tlsHosts.set(host, { host, secrets: claims.map(({ secret }) => secret) });
    const fallback = this.#defaultSecret();
    if (fallback !== undefined) tlsHosts.set('', { host: '', secrets: [fallback] });
    return { tlsHosts, certificates: this.#used };
  }

  /** Without `hosts` an entry is for all hosts of the Ingress's rules. */
  #hostsOf(ingress: Ingress, index: number): Set<string> {
    const hosts = new Set<string>();
    for (const [position, named] of (ingress.tls[index]?.hosts ?? []).entries()) {
      const host = normalizeRuleHost(named);
      const fault = hostFault(host);
      if (fault === undefined) hosts.add(host);
      else
        this.#report.error(
          ingress,
          `spec.tls[${index}].hosts[${position}]`,
          `${JSON.stringify(named)} is left out: ${fault}`,
        );
    }
    if (ingress.tls[index]?.hosts.length !== 0) return hosts;
    for (const { host } of ingress.rules)
      if (hostFault(normalizeRuleHost(host)) === undefined) hosts.add(normalizeRuleHost(host));
    return hosts;
  }

  #certificateOf(ingress: Ingress, secretName: string, field: string): Certificate | undefined {
    const key = objectKey(ingress.meta.namespace, secretName);
    const fault = this.#faultOf(key);
    if (fault === undefined) return this.#secrets.get(key)?.certificate;
    this.#report.error(ingress, `${field}.secretName`, `${fault} Until then its hosts have the default certificate.`);
    return undefined;
  }

  #faultOf(key: ObjectKey): string | undefined {
    const secret = this.#secrets.get(key);
    if (secret === undefined)
      return `There is no Secret ${key} of type kubernetes.io/tls with a certificate that can be served, or Holdfast may not read it; create it, or correct the name.`;
    if (secret.type === 'kubernetes.io/tls') return undefined;
    return `Secret ${key} is of type ${secret.type}; make it anew with type kubernetes.io/tls.`;
  }

  #claim(
    ingress: Ingress,
    host: string,
    secretName: string,
    certificate: Certificate | undefined,
    field: string,
  ): void {
    const claims = this.#hosts.get(host) ?? [];
    this.#hosts.set(host, claims);
    if (certificate === undefined) return;
    const secret = objectKey(ingress.meta.namespace, secretName);
    const { keyType } = certificate;
    if (claims.some((claim) => claim.secret === secret)) return;
    const rival = rivalOf(claims, ingress, keyType);
    if (rival === undefined) {
      claims.push({ owner: ingress, secret, keyType });
      this.#used.set(secret, { secret, chain: certificate.chain, key: certificate.key });
      return;
    }
    const whose = rival.owner === ingress ? 'this Ingress' : nameOf(rival.owner);
    const message = `Host ${host} has a certificate already, from Secret ${rival.secret} (${whose} comes first); this one is not used for it. Name that Secret here too, or remove one of the two.`;
    this.#report.warning(ingress, `${field}.secretName`, message);
  }

  #defaultSecret(): ObjectKey | undefined {
    const { defaultTlsSecret, httpsPort } = this.#options;
    if (defaultTlsSecret === undefined || httpsPort === undefined) return undefined;
    const { namespace, name } = defaultTlsSecret;
    const secret = objectKey(namespace, name);
    const fault = this.#faultOf(secret);
    const certificate = this.#secrets.get(secret)?.certificate;
    if (fault === undefined && certificate !== undefined) {
      this.#used.set(secret, { secret, chain: certificate.chain, key: certificate.key });
      return secret;
    }
    const message = `--default-tls-secret: ${fault ?? ''} Until then the default certificate is a self-signed one.`;
    this.#report.addAll([{ severity: 'error', object: { kind: 'Secret', namespace, name }, field: '', message }]);
    return undefined;
  }
}

/**
 * Who has the host already: an ECDSA and an RSA certificate go side by side, but nobody's is put beside one of another
 * namespace, for then most clients could get that alone.
 */
function rivalOf(claims: readonly Claim[], { meta }: Ingress, keyType: KeyType): Claim | undefined {
  return claims.find(({ owner, ...claim }) => claim.keyType === keyType || owner.meta.namespace !== meta.namespace);
}
