/** What every lane owes, and every kind of session, for calls of gRPC to endpoints of gRPC. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('GRPC');
await import('../common.test.ts');
await import('../cookies.test.ts');
await import('../tokens.test.ts');
await import('../keys.test.ts');
await import('../expressions.test.ts');
