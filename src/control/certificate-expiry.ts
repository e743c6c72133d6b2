/** Problems of certificates that have expired; gone through again only when one has changed or expires. */
import { problemOf } from '../compile/report.ts';
import type { Problem } from '../model/problem.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Table } from '../model/table.ts';

export class CertificateExpiry {
  #certificates: Table['certificates'] | undefined;
  #secrets: Snapshot['secrets'] | undefined;
  /** Wall clock ms, when the next one expires. */
  #until = 0;
  #problems: readonly Problem[] = [];

  /** They are served all the same: to a client that looks, no other certificate would be better. `now`: wall clock, ms. */
  problems(certificates: Table['certificates'], secrets: Snapshot['secrets'], now: number): readonly Problem[] {
    if (certificates === this.#certificates && secrets === this.#secrets && now < this.#until) return this.#problems;
    let until = Infinity;
    const problems: Problem[] = [];
    for (const key of certificates.keys()) {
      const secret = secrets.get(key);
      if (secret?.certificate === undefined) continue;
      const { expires } = secret.certificate;
      if (expires > now) {
        until = Math.min(until, expires);
        continue;
      }
      const message = `The certificate has been expired since ${new Date(expires).toISOString()}; renew it.`;
      problems.push(problemOf('error', secret, 'data[tls.crt]', message));
    }
    this.#certificates = certificates;
    this.#secrets = secrets;
    this.#until = until;
    this.#problems = problems;
    return problems;
  }
}
