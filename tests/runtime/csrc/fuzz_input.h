/* A fuzzer's bytes as the arguments of a call: first what steers it (sizes, strides, types), one or two bytes each, then
 * what fills its buffers. Past their end the bytes are 0, so that every input means something. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "segedge.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A broken promise: the sanitizers' and libFuzzer's way of failing. */
#define FUZZ_CHECK(condition, ...)                                                                                          \
  do {                                                                                                                      \
    if (!(condition)) {                                                                                                     \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                       \
      fprintf(stderr, __VA_ARGS__);                                                                                         \
      fputc('\n', stderr);                                                                                                  \
      abort();                                                                                                              \
    }                                                                                                                       \
  } while (0)

typedef struct {
  const uint8_t *data;
  size_t size, at;
} fuzz_input;

static inline uint8_t fuzz_byte(fuzz_input *in) {
  return in->at < in->size ? in->data[in->at++] : 0;
}

static inline size_t fuzz_between(fuzz_input *in, size_t low, size_t high) {
  size_t value = fuzz_byte(in);
  if (high - low > 255) value = value << 8 | fuzz_byte(in);
  return low + value % (high - low + 1);
}

/* A height or width: small, about the vectors' widths, or any up to SE_MAX_SIDE. */
static inline size_t fuzz_side(fuzz_input *in) {
  static const size_t edges[] = {1,  2,  3,  7,  8,  9,  15, 16,  17,  31,  32,
                                 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, SE_MAX_SIDE};
  const uint8_t kind = fuzz_byte(in);
  if (kind < 160) return 1 + kind % 40;
  if (kind < 248) return edges[kind % (sizeof edges / sizeof edges[0])];
  return fuzz_between(in, 1, SE_MAX_SIDE);
}

/* Halves the larger side until the area fits. */
static inline void fuzz_fit(size_t *h, size_t *w, size_t most) {
  while (*h * *w > most) *(*h > *w ? h : w) /= 2;
}

/* Exactly `bytes` of heap, so that one byte too many is seen; free() it. */
static inline void *fuzz_block(size_t bytes) {
  void *memory = malloc(bytes ? bytes : 1);
  FUZZ_CHECK(memory, "out of memory (%zu bytes)", bytes);
  return memory;
}

/* xorshift64*, Vigna 2016. */
static inline uint32_t fuzz_draw(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return (uint32_t)((*state * 2685821657736338717u) >> 32);
}

/* Contents in the ways that matter here: noise; a short pattern again and again; long runs of few values. */
static inline uint8_t *fuzz_bytes(fuzz_input *in, size_t bytes) {
  uint8_t *memory = fuzz_block(bytes), pattern[8], value;
  const uint8_t kind = fuzz_byte(in);
  uint64_t state = (uint64_t)kind << 32 | 88172645463325252u;
  const size_t period = 1 + kind / 4 % sizeof pattern, run = 1 + kind / 4;
  switch (kind % 4) {
  case 0:
    for (size_t i = 0; i < period; i++) pattern[i] = fuzz_byte(in);
    for (size_t i = 0; i < bytes; i++) memory[i] = pattern[i % period];
    break;
  case 1:
    value = fuzz_byte(in);
    for (size_t i = 0; i < bytes; i++) memory[i] = i % run == run - 1 ? (value = fuzz_byte(in)) : value;
    break;
  default:
    for (size_t i = 0; i < bytes; i++) memory[i] = (uint8_t)fuzz_draw(&state);
  }
  return memory;
}

/* Scratch of exactly the asked size at any alignment, full of old values; free what *start receives. */
static inline void *fuzz_scratch(fuzz_input *in, size_t bytes, void **start) {
  const size_t shift = fuzz_byte(in) % 80;
  uint8_t *memory = fuzz_block(shift + bytes);
  memset(memory, fuzz_byte(in), shift + bytes);
  *start = memory;
  return memory + shift;
}

/* One entry of segedge.h for each; the input is the whole of what it is called with. */
#define FUZZ_ENTRIES(X)                                                                                                     \
  X(isas) X(threads) X(resize_rows) X(resize_image) X(paint_rows) X(paint_image) X(confidence) X(backdrop) X(squares) X(rle)
#define FUZZ_DECLARE(entry) void fuzz_##entry(fuzz_input in);
FUZZ_ENTRIES(FUZZ_DECLARE)

#endif
