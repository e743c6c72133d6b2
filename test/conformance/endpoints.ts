/** What the endpoints of a file's labs speak: HTTP/1.1 in plain text, unless the file says so before it imports its cases. */
import { selfSigned } from '../../src/control/self-signed.ts';
import { streamsOf } from '../support/http2-backend.ts';
import { HostileBackend } from '../support/wire.ts';

type Spoken = 'HTTP' | 'HTTPS' | 'H2C' | 'GRPC';

const APP_PROTOCOLS: Readonly<Record<Spoken, { readonly appProtocol?: string }>> = {
  HTTP: {},
  HTTPS: { appProtocol: 'https' },
  H2C: { appProtocol: 'kubernetes.io/h2c' },
  GRPC: { appProtocol: 'grpc' },
};

let spoken: Spoken = 'HTTP';

export function endpointsSpeak(protocol: Spoken): void {
  spoken = protocol;
  if (protocol === 'HTTPS') {
    const { key, chain } = selfSigned({ names: ['backend.test'] });
    HostileBackend.tls = { key, cert: chain };
  }
  if (overHttp2()) HostileBackend.unfold = streamsOf;
}

/** For their Services. */
export function appProtocol(): { readonly appProtocol?: string } {
  return APP_PROTOCOLS[spoken];
}

/** WebSocket aside, which goes over HTTP/1.1 all the same. */
export function overHttp2(): boolean {
  return spoken === 'H2C' || spoken === 'GRPC';
}

/** The routes are for calls of gRPC. */
export function forCalls(): boolean {
  return spoken === 'GRPC';
}
