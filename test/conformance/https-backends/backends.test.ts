/** The cases about backends that break the protocol, with backends over HTTPS. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('HTTPS');
await import('../backends.test.ts');
