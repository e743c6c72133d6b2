/** What every lane owes, and every kind of session, with endpoints of HTTP/2. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('H2C');
await import('../common.test.ts');
await import('../cookies.test.ts');
await import('../tokens.test.ts');
await import('../keys.test.ts');
await import('../expressions.test.ts');
