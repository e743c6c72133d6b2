/** What an Ingress says about the protocol of its endpoints: by our own annotations, or by those of ingress-nginx. */
import type { z } from 'zod';
import type { Meta } from '../../model/resources.ts';
import type { WantedProtocol } from '../../model/transport.ts';
import type { Report } from '../project/fields.ts';
import { fieldOf, fieldOfSetting } from './field.ts';
import { NGINX_PREFIX } from './foreign.ts';
import { choice, PREFIX, serverName, text, type AnnotationSettings, type SettingName } from './table.ts';

const PROTOCOL = choice({ http: 'HTTP', https: 'HTTPS', auto_http: 'AUTO_HTTP', grpc: 'GRPC', grpcs: 'GRPCS' });
const ON_OR_OFF = choice({ on: true, off: false });

/** By name behind ingress-nginx's prefix; also what the reference says. */
export const BACKEND_ANNOTATIONS = {
  'backend-protocol': {
    values: '`HTTP`, `HTTPS`, `AUTO_HTTP`, `GRPC`, `GRPCS`',
    meaning: `As \`${PREFIX}backend-protocol\`.`,
    default: "the Service port's `appProtocol`, else `HTTP`",
  },
  'proxy-ssl-secret': {
    values: '`NAMESPACE/NAME`, or a name',
    meaning:
      'Secret for TLS to endpoints: `tls.crt` and `tls.key` are our client certificate, `ca.crt` is what `proxy-ssl-verify` needs. Without the Secret the routes answer 503.',
    default: 'none',
  },
  'proxy-ssl-verify': {
    values: '`on`, `off`',
    meaning: 'The certificates of endpoints must be signed by `ca.crt` of the Secret.',
    default: '`off`',
  },
  'proxy-ssl-name': {
    values: 'a host name',
    meaning: 'The name that they must be for.',
    default: '`SERVICE.NAMESPACE.svc`',
  },
  'proxy-ssl-server-name': {
    values: '`on`, `off`',
    meaning: 'That name is sent to endpoints, too (SNI).',
    default: '`off`',
  },
} as const;

type Name = keyof typeof BACKEND_ANNOTATIONS;

export function isBackendAnnotation(name: string): name is Name {
  return Object.hasOwn(BACKEND_ANNOTATIONS, name);
}

/** A value with the field where it stands. */
export interface Written<T> {
  readonly value: T;
  readonly field: string;
}

export interface BackendWish {
  /** undefined = what the Service port says. */
  readonly protocol: Written<WantedProtocol> | undefined;
  /** As `secretName` reads it. */
  readonly secret: Written<string> | undefined;
  /** `own`: certificates are verified if the Secret has authorities, and the name is sent then. */
  readonly verify: Written<boolean> | 'own' | undefined;
  /** What certificates must be for; undefined = the Service's name in the cluster. */
  readonly name: string | undefined;
  /** The name is sent, too (SNI). */
  readonly sendsName: boolean;
}

/** Our own annotations come first. A malformed one of ingress-nginx's is reported, and its default holds. */
export function readBackend({ annotations }: Meta, settings: AnnotationSettings, report: Report): BackendWish {
  const foreign = <T>(name: Name, schema: z.ZodType<T, string>): Written<T> | undefined => {
    const written = annotations[NGINX_PREFIX + name];
    if (written === undefined) return undefined;
    const field = fieldOf(NGINX_PREFIX + name);
    const { success, data, error } = schema.safeParse(written);
    if (success) return { value: data, field };
    report.error(field, error.issues[0]?.message ?? 'this value is not known');
    return undefined;
  };
  const { backendProtocol, backendTlsSecret, backendTlsName } = settings;
  const protocol = foreign('backend-protocol', PROTOCOL);
  const secret = foreign('proxy-ssl-secret', text);
  const verify = foreign('proxy-ssl-verify', ON_OR_OFF);
  const name = foreign('proxy-ssl-name', serverName)?.value;
  const sendsName = foreign('proxy-ssl-server-name', ON_OR_OFF)?.value ?? false;
  return {
    protocol: own('backendProtocol', backendProtocol) ?? protocol,
    secret: own('backendTlsSecret', backendTlsSecret) ?? secret,
    verify: backendTlsSecret === undefined ? verify : 'own',
    name: backendTlsName ?? name,
    sendsName: sendsName || backendTlsName !== undefined,
  };
}

function own<T>(setting: SettingName, value: T | undefined): Written<T> | undefined {
  return value === undefined ? undefined : { value, field: fieldOfSetting(setting) };
}
