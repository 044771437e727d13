/* A queue of bytes in a growing block of memory. */
#include "spawner.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for `more` bytes after the present ones. */
char *reserve(struct buffer *buffer, size_t more) {
  if (buffer->start > 0 && (buffer->length == 0 || buffer->start + buffer->length + more > buffer->capacity)) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->length);
    buffer->start = 0;
  }
  size_t needed = buffer->start + buffer->length + more;
  if (needed > buffer->capacity || !buffer->bytes) {
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity < needed) capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes) die("out of memory");
    buffer->bytes = bytes;
    buffer->capacity = capacity;
  }
  return buffer->bytes + buffer->start + buffer->length;
}

void consume(struct buffer *buffer, size_t count) {
  buffer->start += count;
  buffer->length -= count;
  if (buffer->length == 0) buffer->start = 0;
}
