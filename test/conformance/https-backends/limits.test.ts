/** The cases about every limit, with backends over HTTPS. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('HTTPS');
await import('../limits.test.ts');
