/**
 * The client of the server that this page came from. The browser adds the session; the header proves that the request is from this page.
 */
import { CONSOLE_HEADER } from '../../core/console-header.ts';
import { Transport } from '../../client/http/transport.ts';

export const transport = new Transport({ url: location.origin, headers: { [CONSOLE_HEADER]: '1' }, attempts: 3 });
