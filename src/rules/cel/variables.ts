/** What expressions see of a request. Everything is read when an expression asks for it. */
import type { RequestFacts } from '../../model/facts.ts';
import { cookieValues } from '../cookie/read.ts';
import { queryValues } from '../query/read.ts';

/** The request in question: evaluating is synchronous, so a thread needs one set of variables. */
let facts: RequestFacts;

export function lookAt(request: RequestFacts): void {
  facts = request;
}

/** As the library takes a map; nothing but look-ups is admitted. */
function lookUps(read: (name: string) => string | undefined): Map<string, string> {
  const map = new Map<string, string>();
  map.get = read;
  return map;
}

export class RequestView {
  readonly query = lookUps((name) => queryValues(facts.query, name)[0]);
  readonly headers = lookUps((name) => facts.header(name));
  readonly cookies = lookUps((name) => cookieValues(facts.cookie, [name], facts.cookie.toLowerCase())[0]);

  get method(): string {
    return facts.method;
  }

  get host(): string {
    return facts.host;
  }

  get path(): string {
    return facts.path;
  }

  get scheme(): string {
    return facts.scheme;
  }

  get port(): bigint {
    return BigInt(facts.port);
  }
}

export class SourceView {
  get ip(): string {
    return facts.clientAddress;
  }
}

export class TlsView {
  get sni(): string {
    return facts.tls.sni;
  }
}

export const variables = { request: new RequestView(), source: new SourceView(), tls: new TlsView() };
