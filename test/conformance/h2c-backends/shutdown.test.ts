/** The cases about a graceful shutdown, with endpoints of HTTP/2. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('H2C');
await import('../shutdown.test.ts');
