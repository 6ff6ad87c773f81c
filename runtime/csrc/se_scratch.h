/* Private: carves typed arrays out of a caller's scratch memory. With base == NULL it only counts, so one function lays a
 * scratch out and tells its size. */
#ifndef SE_SCRATCH_H
#define SE_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#define SE_ALIGN 64 /* a cache line, and the widest vector of any instruction set */

typedef struct {
  unsigned char *base;
  size_t used;
} se_scratch;

static inline se_scratch se_scratch_open(void *memory) {
  const size_t misaligned = (size_t)((uintptr_t)memory % SE_ALIGN);
  return (se_scratch){memory, misaligned ? SE_ALIGN - misaligned : 0};
}

static inline void *se_scratch_take(se_scratch *scratch, size_t bytes) {
  void *part = scratch->base ? scratch->base + scratch->used : NULL;
  scratch->used += (bytes + SE_ALIGN - 1) / SE_ALIGN * SE_ALIGN;
  return part;
}

/* Bytes needed whatever the alignment of the memory. */
static inline size_t se_scratch_size(const se_scratch *scratch) {
  return scratch->used + SE_ALIGN - 1;
}

#endif
