/* Parses a SPAWN. Every field is checked before it is used. */
#include "spawner.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS_LIMIT = 65536 };

/* A stack that was used before, for the next start; or NULL. */
static char *spare_stack;

/* A cursor over a command's payload; once something does not fit, everything after reads as empty and `bad` is set. */
struct reader {
  char *at, *end;
  bool bad;
};

static void read_bytes(struct reader *reader, void *into, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) {
    reader->bad = true;
    memset(into, 0, size);
    return;
  }
  memcpy(into, reader->at, size);
  reader->at += size;
}

static uint32_t read_u32(struct reader *reader) {
  uint32_t value;
  read_bytes(reader, &value, sizeof value);
  return value;
}

/* A string with its NUL, in place. */
static char *read_string(struct reader *reader) {
  static char nothing[1];
  char *text = reader->at;
  char *nul = memchr(text, 0, (size_t)(reader->end - text));
  if (!nul) {
    reader->bad = true;
    return nothing;
  }
  reader->at = nul + 1;
  return text;
}

static char **read_strings(struct reader *reader) {
  uint32_t count = read_u32(reader);
  if (count > (size_t)(reader->end - reader->at)) reader->bad = true; /* each takes a byte at least */
  if (reader->bad) return NULL;
  char **list = calloc((size_t)count + 1, sizeof *list);
  if (!list) return NULL;
  for (uint32_t i = 0; i < count; i++) list[i] = read_string(reader);
  return list;
}

static void read_groups(struct reader *reader, struct launch *launch) {
  launch->group_count = read_u32(reader);
  if (launch->group_count > GROUPS_LIMIT) reader->bad = true;
  if (reader->bad || launch->group_count == 0) return;
  launch->groups = calloc(launch->group_count, sizeof *launch->groups);
  if (launch->groups) read_bytes(reader, launch->groups, launch->group_count * sizeof *launch->groups);
  else reader->bad = true;
}

/* Returns NULL for a malformed payload, or without memory. */
struct launch *launch_parse(const char *payload, size_t length) {
  struct launch *launch = calloc(1, sizeof *launch);
  if (!launch) return NULL;
  launch->stdio[0] = launch->stdio[1] = launch->stdio[2] = launch->status_fd = launch->verdict_fd = -1;
  launch->payload = malloc(length + 1);
  launch->stack = spare_stack ? spare_stack : aligned_alloc(16, LAUNCH_STACK_BYTES);
  spare_stack = NULL;
  if (!launch->payload || !launch->stack) return launch_free(launch), NULL;
  memcpy(launch->payload, payload, length);
  struct reader reader = {launch->payload, launch->payload + length, false};
  read_bytes(&reader, &launch->keep, sizeof launch->keep);
  launch->tail_size = read_u32(&reader);
  if (launch->tail_size > CHUNK) reader.bad = true;
  read_bytes(&reader, &launch->flags, sizeof launch->flags);
  read_bytes(&reader, &launch->columns, sizeof launch->columns);
  read_bytes(&reader, &launch->rows, sizeof launch->rows);
  launch->uid = read_u32(&reader);
  launch->gid = read_u32(&reader);
  read_groups(&reader, launch);
  launch->home = read_string(&reader);
  launch->cwd = read_string(&reader);
  launch->cgroup = read_string(&reader);
  if (launch->cgroup[0] == 0) launch->cgroup = NULL;
  launch->file = read_string(&reader);
  launch->argv = read_strings(&reader);
  launch->envp = read_strings(&reader);
  if (reader.bad || !launch->argv || !launch->envp || !launch->argv[0]) return launch_free(launch), NULL;
  if (launch->file[0] == 0) launch->file = launch->argv[0];
  return launch;
}

void launch_free(struct launch *launch) {
  free(launch->payload);
  if (spare_stack) free(launch->stack);
  else spare_stack = launch->stack;
  free(launch->groups);
  free(launch->argv);
  free(launch->envp);
  free(launch->message.bytes);
  free(launch);
}
