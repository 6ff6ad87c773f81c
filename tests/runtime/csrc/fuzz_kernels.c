/* Random shapes and contents: every instruction set against the scalar one, and an image computed in random pieces of rows
 * against the whole. Every buffer is a heap block of exactly the size that segedge.h asks for, so that the sanitizers see
 * one byte too many. Usage: fuzz_kernels [ROUNDS [SEED]]; exits 1 and names the round at the first difference. */
#include "segedge.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t draw(void) { /* xorshift64*, Vigna 2016 */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * 2685821657736338717u) >> 32);
}

static size_t between(size_t low, size_t high) {
  return low + draw() % (high - low + 1);
}

/* Mostly small, often around the vectors' widths, now and then large. */
static size_t draw_side(void) {
  static const size_t edges[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65};
  switch (draw() % 4) {
  case 0:
    return edges[draw() % (sizeof edges / sizeof edges[0])];
  case 1:
    return between(1, 200);
  default:
    return between(1, 40);
  }
}

/* A number of classes: a mask's full range too, but rarely, for it is slow. */
static size_t draw_classes(void) {
  return draw() % 10 ? between(1, 24) : between(1, SE_MAX_CLASSES);
}

static void *block(size_t bytes) {
  void *memory = malloc(bytes);
  if (!memory) {
    fprintf(stderr, "fuzz_kernels: out of memory (%zu bytes)\n", bytes);
    exit(2);
  }
  return memory;
}

static uint8_t *noise(size_t bytes) {
  uint8_t *memory = block(bytes);
  for (size_t i = 0; i < bytes; i++) memory[i] = (uint8_t)draw();
  return memory;
}

static uint8_t *copy(const uint8_t *from, size_t bytes) {
  return memcpy(block(bytes), from, bytes);
}

/* Logits of several kinds: noise, few values (ties), large areas of one class, NaN and infinities. */
static float *draw_logits(size_t count) {
  static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f};
  float *logits = block(count * sizeof(float));
  const uint32_t kind = draw() % 4;
  float value = 0;
  for (size_t i = 0; i < count; i++) {
    if (kind != 2 || draw() % 64 == 0) value = (float)(int32_t)draw() / 1e9f;
    if (kind == 1) value = (float)(draw() % 3);
    logits[i] = kind == 3 && draw() % 8 == 0 ? odd[draw() % 5] : value;
  }
  return logits;
}

/* One drawn call. Its outputs start from the same noise for every instruction set. */
typedef struct {
  enum { RESIZE, ARGMAX, OVERLAY, BLEND, OPERATIONS } operation;
  size_t h, w, dst_h, dst_w, classes, frame_stride, out_stride;
  se_resize_rule rule;
  unsigned alpha;
  int in_place, want_mask;
  float *logits;
  uint8_t *frame, *palette, *mask;     /* inputs */
  uint8_t *out_start, *mask_out_start; /* what outputs hold before */
  size_t out_bytes, mask_bytes;
} job;

static job draw_job(void) {
  job j = {.operation = draw() % OPERATIONS, .h = draw_side(), .w = draw_side(), .dst_h = draw_side(), .dst_w = draw_side()};
  j.classes = draw_classes();
  j.rule = draw() % 2 ? SE_RESIZE_AREA : SE_RESIZE_BILINEAR;
  j.alpha = draw() % 4 ? draw() % 257 : draw() % 2 * 256;
  j.in_place = draw() % 4 == 0;
  j.want_mask = draw() % 2;
  const size_t frame_h = j.operation == RESIZE ? j.h : j.dst_h, frame_w = j.operation == RESIZE ? j.w : j.dst_w;
  j.frame_stride = 3 * frame_w + (draw() % 2 ? between(0, 70) : 0);
  j.out_stride = j.in_place ? j.frame_stride : 3 * j.dst_w + (draw() % 2 ? between(0, 70) : 0);
  j.mask_bytes = j.dst_h * j.dst_w;
  j.out_bytes = j.operation == RESIZE ? 3 * j.mask_bytes : (j.dst_h - 1) * j.out_stride + 3 * j.dst_w;
  j.logits = draw_logits(j.classes * j.h * j.w);
  j.frame = noise((frame_h - 1) * j.frame_stride + 3 * frame_w);
  j.palette = noise(3 * j.classes);
  j.mask = noise(j.mask_bytes);
  if (draw() % 2) memset(j.mask, (int)(draw() % 12), j.mask_bytes / 2);
  j.out_start = j.in_place && j.operation != RESIZE ? copy(j.frame, j.out_bytes) : noise(j.out_bytes);
  j.mask_out_start = noise(j.mask_bytes);
  return j;
}

static size_t scratch_size(const job *j) {
  switch (j->operation) {
  case RESIZE:
    return se_resize_scratch(j->h, j->w, j->dst_h, j->dst_w, j->rule);
  case BLEND:
    return se_blend_scratch(j->dst_w, j->classes);
  default:
    return se_upsample_scratch(j->w, j->dst_w, j->classes);
  }
}

static void run_rows(const job *j, const se_kernels *isa, uint8_t *out, uint8_t *mask, size_t y0, size_t y1) {
  const size_t shift = between(0, 80); /* any alignment */
  uint8_t *memory = noise(shift + scratch_size(j)), *scratch = memory + shift;
  const uint8_t *frame = j->in_place ? out : j->frame;
  switch (j->operation) {
  case RESIZE:
    se_resize(isa, j->frame, j->h, j->w, j->frame_stride, out, j->dst_h, j->dst_w, j->rule, y0, y1, scratch);
    break;
  case ARGMAX:
    se_upsample_argmax(isa, j->logits, j->classes, j->h, j->w, mask, j->dst_h, j->dst_w, y0, y1, scratch);
    break;
  case OVERLAY:
    se_upsample_overlay(isa, j->logits, j->classes, j->h, j->w, j->palette, frame, j->frame_stride, j->alpha, out,
                        j->out_stride, j->want_mask ? mask : NULL, j->dst_h, j->dst_w, y0, y1, scratch);
    break;
  default:
    se_blend(isa, j->mask, j->palette, j->classes, frame, j->frame_stride, j->alpha, out, j->out_stride, j->dst_h, j->dst_w,
             y0, y1, scratch);
  }
  free(memory);
}

/* Compares one instruction set, whole or in pieces, with what the scalar one wrote. */
static int differs(const job *j, const se_kernels *isa, int pieces, const uint8_t *out, const uint8_t *mask) {
  uint8_t *my_out = copy(j->out_start, j->out_bytes), *my_mask = copy(j->mask_out_start, j->mask_bytes);
  for (size_t y = 0; y < j->dst_h;) {
    const size_t next = pieces ? between(y + 1, j->dst_h) : j->dst_h;
    run_rows(j, isa, my_out, my_mask, y, next);
    y = next;
  }
  const int result = memcmp(out, my_out, j->out_bytes) != 0 || memcmp(mask, my_mask, j->mask_bytes) != 0;
  free(my_out);
  free(my_mask);
  return result;
}

static void free_job(job *j) {
  free(j->logits);
  free(j->frame);
  free(j->palette);
  free(j->mask);
  free(j->out_start);
  free(j->mask_out_start);
}

int main(int argc, char **argv) {
  static const char *operations[] = {"resize", "upsample_argmax", "upsample_overlay", "blend"};
  const long rounds = argc > 1 ? atol(argv[1]) : 4000;
  const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  for (long round = 0; round < rounds; round++) {
    state = (seed << 32) + (uint64_t)round * 2654435761u + 1;
    for (int i = 0; i < 8; i++) draw();
    job j = draw_job();
    uint8_t *out = copy(j.out_start, j.out_bytes), *mask = copy(j.mask_out_start, j.mask_bytes);
    run_rows(&j, se_kernels_get("scalar"), out, mask, 0, j.dst_h);
    for (size_t i = 0; se_isa_available(i); i++) {
      for (int pieces = 0; pieces < 2; pieces++) {
        if (!differs(&j, se_kernels_get(se_isa_available(i)), pieces, out, mask)) continue;
        fprintf(stderr,
                "fuzz_kernels: round %ld of seed %llu: %s %s%s differs from scalar: (%zu, %zu) to (%zu, %zu), %zu classes\n",
                round, (unsigned long long)seed, operations[j.operation], se_isa_available(i), pieces ? " in pieces" : "",
                j.h, j.w, j.dst_h, j.dst_w, j.classes);
        return 1;
      }
    }
    free(out);
    free(mask);
    free_job(&j);
  }
  printf("fuzz_kernels: %ld rounds, seed %llu, fastest set %s: no difference\n", rounds, (unsigned long long)seed,
         se_isa_name(se_kernels_get(NULL)));
  return 0;
}
