/** Pass 2: whose certificates clients are asked for. An Ingress that asks for what cannot be done is closed: nobody may get in unseen. */
import { createHash } from 'node:crypto';
import { fieldOfSetting } from '../../api/annotations/field.ts';
import { consequence } from '../../api/annotations/foreign.ts';
import { ANNOTATIONS, PREFIX, type AnnotationSettings, type SettingName } from '../../api/annotations/table.ts';
import type { ClientAuthorities, ClientVerification } from '../../model/certificate.ts';
import type { Ingress, Secret } from '../../model/resources.ts';
import type { Table } from '../../model/table.ts';
import type { CompileOptions } from '../options.ts';
import { nameOf, type ProblemReport } from '../report.ts';
import { normalizeRuleHost } from './hosts.ts';
import type { NamedSecrets } from './named-secrets.ts';

type Wish = Pick<AnnotationSettings, 'authTlsSecret' | 'authTlsVerify'>;

/** The authorities of a host: a handshake can ask for one set alone. */
interface Claim {
  readonly owner: Ingress;
  readonly secret: Secret;
  readonly id: string;
}

const SECRET = PREFIX + ANNOTATIONS.authTlsSecret.name;
/** OpenSSL keeps sessions apart by names of so many bytes. */
const ID_LENGTH = 32;

export class ClientCertificates {
  readonly #options: CompileOptions;
  readonly #secrets: NamedSecrets;
  readonly #report: ProblemReport;
  /** By host; empty = what no host takes. */
  readonly #hosts = new Map<string, Claim>();
  readonly #verifications = new Map<Ingress, ClientVerification>();
  readonly #used = new Map<string, ClientAuthorities>();

  constructor(secrets: NamedSecrets, options: CompileOptions, report: ProblemReport) {
    this.#options = options;
    this.#secrets = secrets;
    this.#report = report;
  }

  /** To be called oldest first: of two Ingresses with one host the older says whose. False = nobody may be let in. */
  add(ingress: Ingress, wish: Wish): boolean {
    const { authTlsSecret, authTlsVerify: mode = 'on' } = wish;
    if (authTlsSecret === undefined) return this.#addWithout(ingress, wish);
    if (mode === 'off') return true;
    if (this.#options.httpsPort === undefined)
      return this.#refuse(
        ingress,
        'with `--https-port off` no client can show a certificate; ask for it where TLS ends',
      );
    const secret = this.#secrets.find(ingress, authTlsSecret);
    if (typeof secret === 'string') return this.#refuse(ingress, secret);
    const { authorities, revocations } = secret;
    if (authorities === undefined)
      return this.#refuse(ingress, without(secret, 'certificates of authorities', 'ca.crt'));
    if (revocations === undefined) return this.#refuse(ingress, without(secret, 'revocation lists', 'ca.crl'));
    const id = digest(authorities, ...revocations);
    const hosts = hostsOf(ingress);
    for (const host of hosts) {
      const first = this.#hosts.get(host);
      if (first !== undefined && first.id !== id) return this.#refuse(ingress, conflict(host, first));
    }
    for (const host of hosts) if (!this.#hosts.has(host)) this.#hosts.set(host, { owner: ingress, secret, id });
    this.#used.set(id, { id, certificates: authorities, revocations });
    this.#verifications.set(ingress, { authorities: id, mode });
    return true;
  }

  /** undefined = nobody is asked. */
  of(ingress: Ingress): ClientVerification | undefined {
    return this.#verifications.get(ingress);
  }

  /** Whether whoever passes `other` may get to what `ingress` guards. */
  covers(other: Ingress, ingress: Ingress): boolean {
    const [passed, wanted] = [this.of(other), this.of(ingress)];
    return wanted === undefined || (passed?.authorities === wanted.authorities && passed.mode === wanted.mode);
  }

  finish(): Pick<Table, 'clientAuthorities'> {
    return { clientAuthorities: this.#used };
  }

  #addWithout(ingress: Ingress, { authTlsVerify }: Wish): boolean {
    if (authTlsVerify === undefined || authTlsVerify === 'off') return true;
    return this.#refuse(
      ingress,
      `this says nothing without the authorities; write \`${SECRET}: NAME\` beside it`,
      'authTlsVerify',
    );
  }

  #refuse(ingress: Ingress, fault: string, setting: SettingName = 'authTlsSecret'): boolean {
    const open = this.#options.allowUnsupportedAnnotations ?? false;
    this.#report.error(ingress, fieldOfSetting(setting), `${fault}; ${consequence(open)}`);
    return open;
  }
}

function hostsOf({ rules, hasRules, hasDefaultBackend }: Ingress): Set<string> {
  const hosts = new Set(rules.map(({ host }) => normalizeRuleHost(host)));
  return hasDefaultBackend && !hasRules ? hosts.add('') : hosts;
}

function digest(...texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\n')).digest('base64url').slice(0, ID_LENGTH);
}

function without({ meta: { namespace, name } }: Secret, what: string, where: string): string {
  return `Secret ${namespace}/${name} has no ${what} that can be read; put them in as \`${where}\``;
}

function conflict(host: string, { owner, secret }: Claim): string {
  const { namespace, name } = secret.meta;
  const whose = host === '' ? 'all other hosts' : `host ${host}`;
  return `clients of ${whose} are asked for certificates of the authorities in Secret ${namespace}/${name} (${nameOf(owner)} comes first), and can be asked once only; name that Secret here, too, or use a host of its own`;
}
