/** The cases about WebSocket connections, with backends over HTTPS. */
import { endpointsSpeak } from '../endpoints.ts';

endpointsSpeak('HTTPS');
await import('../upgrade.test.ts');
