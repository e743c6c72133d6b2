/** The cases about where messages begin and end, with backends over HTTPS. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('HTTPS');
await import('../framing.test.ts');
