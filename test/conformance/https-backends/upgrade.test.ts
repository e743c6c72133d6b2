/** The cases about WebSocket connections, with backends over HTTPS. */
import { backendsOverHttps } from '../lab.ts';

backendsOverHttps();
await import('../upgrade.test.ts');
