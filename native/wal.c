/*
 * An SQLite extension with a VFS that joins the writes of a transaction to the write-ahead log. SQLite writes each page to the
 * log in two calls, 24 bytes of frame header and then the page; this VFS keeps them until the transaction's last frame, and
 * then writes all of them in one call. It also flushes the log by fdatasync(2), as an SQLite that is built with HAVE_FDATASYNC: fsync(2)
 * writes the time of the last change as well, which is one more wait for the disk. Everything else goes to the VFS that was the default
 * before, unchanged.
 *
 * Nothing is reordered, and the result is the same for all readers:
 *   - only writes that follow each other in the file are joined;
 *   - every other call on the log (sync, read, size, truncate, close) writes the waiting bytes first;
 *   - the frame that commits is written at once, so that other connections and processes find it before SQLite publishes it
 *     in the shared index, whatever `PRAGMA synchronous` says;
 *   - a write after a read is not delayed: SQLite then replaces frame headers one by one (the checksums after a change of a frame).
 *
 * It needs little of a C library. Formats: https://sqlite.org/fileformat2.html#walformat, https://sqlite.org/vfs.html
 */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include <stdbool.h>
#include <stddef.h>

enum {
  FRAME_HEADER_BYTES = 24,
  COMMIT_AT = 4, /* in a frame header: the size of the database after the transaction; 0 in all frames but the last */
  BUFFER_BYTES = 131071, /* the longest write that SQLite's VFS for Unix passes on whole */
  READ_WRITE = 2,        /* O_RDWR and O_CLOEXEC of fcntl.h, the same on x64 and arm64 */
  CLOSE_ON_EXEC = 02000000,
};

extern int open(const char *path, int flags, ...);
extern int close(int fd);
extern int fdatasync(int fd);
extern void *memcpy(void *restrict to, const void *restrict from, size_t count);
__attribute__((visibility("default"))) int sqlite3_execplanewal_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

/* The log of one connection. The other VFS's own object lies behind it. */
struct log {
  sqlite3_file base;
  sqlite3_file *real;
  char *waiting; /* BUFFER_BYTES */
  int count;     /* bytes in it */
  sqlite3_int64 offset; /* of the first of them in the file */
  bool commits;         /* the frame header that came last belongs to the frame that commits */
  bool was_read;        /* no write has come since the last read */
  bool was_synced;      /* by the other VFS, which then has also synced the directory of a new log */
  int fd;               /* of the same file, for fdatasync; -1: the other VFS syncs */
};

static sqlite3_vfs joining;
static sqlite3_vfs *real_vfs;

static struct log *log_of(sqlite3_file *file) {
  return (struct log *)file;
}

/* Bytes that cannot be written are dropped: the error makes SQLite roll the transaction back. */
static int write_waiting(struct log *log) {
  int count = log->count;
  log->count = 0;
  return count == 0 ? SQLITE_OK : log->real->pMethods->xWrite(log->real, log->waiting, count, log->offset);
}

/* Whether these are the header of a frame that commits. */
static bool is_commit(const char *bytes, int count) {
  const char *size = bytes + COMMIT_AT;
  return count == FRAME_HEADER_BYTES && (size[0] | size[1] | size[2] | size[3]) != 0;
}

static int log_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
  struct log *log = log_of(file);
  bool follows = offset == log->offset + log->count && log->count + count <= BUFFER_BYTES;
  int code = log->count > 0 && !follows ? write_waiting(log) : SQLITE_OK;
  if (code != SQLITE_OK) return code;
  bool at_once = log->was_read || count > BUFFER_BYTES; /* nothing waits then */
  bool is_last = log->commits && count != FRAME_HEADER_BYTES;
  log->was_read = false;
  log->commits = is_commit(bytes, count);
  if (at_once) return log->real->pMethods->xWrite(log->real, bytes, count, offset);
  if (log->count == 0) log->offset = offset;
  memcpy(log->waiting + log->count, bytes, (size_t)count);
  log->count += count;
  return is_last ? write_waiting(log) : SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
  struct log *log = log_of(file);
  int code = write_waiting(log);
  log->was_read = true;
  return code == SQLITE_OK ? log->real->pMethods->xRead(log->real, bytes, count, offset) : code;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
  struct log *log = log_of(file);
  int code = write_waiting(log);
  return code == SQLITE_OK ? log->real->pMethods->xTruncate(log->real, size) : code;
}

static int log_sync(sqlite3_file *file, int flags) {
  struct log *log = log_of(file);
  int code = write_waiting(log);
  if (code != SQLITE_OK) return code;
  if (log->was_synced && log->fd >= 0) return fdatasync(log->fd) == 0 ? SQLITE_OK : SQLITE_IOERR_FSYNC;
  code = log->real->pMethods->xSync(log->real, flags);
  log->was_synced = code == SQLITE_OK;
  return code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size) {
  struct log *log = log_of(file);
  int code = write_waiting(log);
  return code == SQLITE_OK ? log->real->pMethods->xFileSize(log->real, size) : code;
}

static int log_control(sqlite3_file *file, int operation, void *argument) {
  struct log *log = log_of(file);
  int code = write_waiting(log);
  return code == SQLITE_OK ? log->real->pMethods->xFileControl(log->real, operation, argument) : code;
}

static int log_close(sqlite3_file *file) {
  struct log *log = log_of(file);
  int code = write_waiting(log);
  if (log->fd >= 0) close(log->fd); /* this drops the locks of the process on the file: a log has none */
  int closed = log->real->pMethods->xClose(log->real);
  sqlite3_free(log->waiting);
  return code == SQLITE_OK ? closed : code;
}

/* A log is never locked: the locks are on the database and its index. */
static int log_lock(sqlite3_file *file, int kind) {
  return log_of(file)->real->pMethods->xLock(log_of(file)->real, kind);
}

static int log_unlock(sqlite3_file *file, int kind) {
  return log_of(file)->real->pMethods->xUnlock(log_of(file)->real, kind);
}

static int log_is_reserved(sqlite3_file *file, int *result) {
  return log_of(file)->real->pMethods->xCheckReservedLock(log_of(file)->real, result);
}

static int log_sector_size(sqlite3_file *file) {
  return log_of(file)->real->pMethods->xSectorSize(log_of(file)->real);
}

static int log_characteristics(sqlite3_file *file) {
  return log_of(file)->real->pMethods->xDeviceCharacteristics(log_of(file)->real);
}

static const sqlite3_io_methods log_methods = {
  .iVersion = 1,
  .xClose = log_close,
  .xRead = log_read,
  .xWrite = log_write,
  .xTruncate = log_truncate,
  .xSync = log_sync,
  .xFileSize = log_size,
  .xLock = log_lock,
  .xUnlock = log_unlock,
  .xCheckReservedLock = log_is_reserved,
  .xFileControl = log_control,
  .xSectorSize = log_sector_size,
  .xDeviceCharacteristics = log_characteristics,
};

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *opened) {
  (void)vfs;
  if (!(flags & SQLITE_OPEN_WAL)) return real_vfs->xOpen(real_vfs, name, file, flags, opened);
  struct log *log = log_of(file);
  *log = (struct log){.real = (sqlite3_file *)(log + 1), .was_read = true, .fd = -1};
  log->waiting = sqlite3_malloc(BUFFER_BYTES);
  if (!log->waiting) return SQLITE_NOMEM;
  int code = real_vfs->xOpen(real_vfs, name, log->real, flags, opened);
  if (log->real->pMethods) log->base.pMethods = &log_methods; /* SQLite then closes it, also after an error */
  else sqlite3_free(log->waiting);
  if (code == SQLITE_OK) log->fd = open(name, READ_WRITE | CLOSE_ON_EXEC);
  return code;
}

/* Makes the VFS the default of connections that are opened from now on. */
int sqlite3_execplanewal_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
  (void)db;
  (void)error;
  SQLITE_EXTENSION_INIT2(api);
  if (sqlite3_vfs_find("execplane-wal")) return SQLITE_OK_LOAD_PERMANENTLY;
  real_vfs = sqlite3_vfs_find(NULL);
  if (!real_vfs) return SQLITE_ERROR;
  joining = *real_vfs; /* all of its functions take the VFS only to find its data, which is copied */
  joining.pNext = NULL;
  joining.zName = "execplane-wal";
  joining.szOsFile = real_vfs->szOsFile + (int)sizeof(struct log);
  joining.xOpen = open_file;
  int code = sqlite3_vfs_register(&joining, 1);
  return code == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : code;
}
