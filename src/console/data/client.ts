/**
 * The client of the page's own server. The browser adds the session; the header proves that a request is from this page.
 */
import { CONSOLE_HEADER } from '../../core/console-header.ts';
import { Transport } from '../../client/http/transport.ts';

export const transport = new Transport({ url: location.origin, headers: { [CONSOLE_HEADER]: '1' }, attempts: 3 });
