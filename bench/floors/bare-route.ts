/**
 * The floor of bench/creates.ts: a bare Fastify route that commits one durable row. Prints its port. argv: database file, `each` or
 * `group`.
 */
import Database from 'better-sqlite3';
import fastify from 'fastify';

const [file = '', mode = 'each'] = process.argv.slice(2);
const database = new Database(file);
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
database.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)');
const insert = database.prepare('INSERT INTO rows (body) VALUES (?)');

let waiting: { body: string; done: () => void }[] = [];
/** Inserts the row together with all others of this turn of the event loop, in one commit. */
function together(body: string): Promise<void> {
  return new Promise((done) => {
    waiting.push({ body, done });
    if (waiting.length > 1) return;
    setImmediate(() => {
      const batch = waiting;
      waiting = [];
      database.transaction(() => {
        for (const row of batch) insert.run(row.body);
      })();
      for (const row of batch) row.done();
    });
  });
}

const app = fastify();
app.post('/rows', async (request) => {
  const body = JSON.stringify(request.body);
  if (mode === 'group') await together(body);
  else insert.run(body);
  return { ok: true };
});
const address = await app.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`${address}\n`);
process.once('SIGTERM', () => {
  void app.close().then(() => database.close());
});
