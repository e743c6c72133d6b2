/** The cases about backends that break the protocol, with backends over HTTPS. */
import { backendsOverHttps } from '../lab.ts';

backendsOverHttps();
await import('../backends.test.ts');
