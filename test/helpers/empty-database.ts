/** `node test/helpers/empty-database.ts FILE`: makes a SQLite database without rows, of the present schema. */
import { openDatabase } from '../../src/store/sqlite/file/database.ts';
import { migrate } from '../../src/store/sqlite/file/migrations.ts';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('no file');
const db = openDatabase(path);
migrate(db, 0);
db.close();
