/** Where messages begin and end, and clients that do as they like, with endpoints of HTTP/2. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('H2C');
await import('../framing.test.ts');
await import('../smuggling.test.ts');
await import('../clients.test.ts');
