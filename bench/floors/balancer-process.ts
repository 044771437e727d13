/** Runs a balancer (test/helpers/balancer.ts) in a process of its own. argv: the ports of the servers. Prints its URL. */
import { Balancer } from '../../test/helpers/balancer.ts';

const balancer = await Balancer.start(process.argv.slice(2).map(Number));
process.stdout.write(`${balancer.url}\n`);
