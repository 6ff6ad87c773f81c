/* Random shapes and contents: every instruction set against the scalar one; an image computed in random pieces of rows, and
 * by several threads, against the whole. Every buffer is a heap block of exactly the size that segedge.h asks for, so that
 * the sanitizers see one byte too many. Usage: fuzz_kernels [ROUNDS [SEED]]; exits 1 and names the round at the first
 * difference. */
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

/* The same as binary16, or as codes: any bits will do. */
static void *as_type(float *logits, size_t count, se_logits_type type) {
  if (type == SE_LOGITS_F32) return logits;
  uint8_t *bytes = block(count * (type == SE_LOGITS_F16 ? 2 : 1));
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, logits + i, sizeof bits);
    if (type == SE_LOGITS_F16) {
      const uint16_t half = (uint16_t)(bits >> 16); /* equal stays equal, and there are subnormals, infinities and NaN */
      memcpy(bytes + 2 * i, &half, sizeof half);
    } else {
      bytes[i] = (uint8_t)(bits >> 18);
    }
  }
  free(logits);
  return bytes;
}

/* One drawn call. Its outputs start from the same noise for every instruction set. */
typedef struct {
  enum { RESIZE, LOGITS, LABELS, OPERATIONS } operation;
  size_t h, w, dst_h, dst_w, classes, frame_stride, out_stride;
  se_resize_rule rule;
  se_frame src; /* RESIZE: its input; else a source of the painting, where it is no BGR */
  size_t top, left, view_h, view_w, of_h, of_w;
  se_logits_type type;
  int in_place, want_mask, want_overlay, want_lines;
  void *logits;
  uint8_t *frame, *chroma, *chroma_v, *palette, *line_palette, *labels; /* inputs */
  uint16_t alpha[SE_MAX_CLASSES], line_alpha[SE_MAX_CLASSES];
  uint8_t *out_start, *mask_start; /* what outputs hold before */
  size_t out_bytes, mask_bytes;
} job;

static void draw_alpha(uint16_t *alpha, size_t classes) {
  const uint16_t all = (uint16_t)(draw() % 4 ? draw() % 257 : draw() % 2 * 256);
  const int each = draw() % 2;
  for (size_t i = 0; i < classes; i++) alpha[i] = each ? (uint16_t)(draw() % 257) : all;
}

/* A frame of any format and colours, h x w (YUYV: one more column for an odd w), its planes in blocks of their own. */
static void draw_frame(job *j, size_t h, size_t w) {
  se_frame *f = &j->src;
  *f = (se_frame){.format = draw() % 6, .h = h, .w = w, .matrix = draw() % 5, .full_range = draw() % 2};
  if (f->format == SE_FRAME_YUYV) f->w += w % 2;
  const int deep = f->format != SE_FRAME_BGR && f->format != SE_FRAME_YUYV && draw() % 2;
  if (deep) f->bits = (unsigned)between(9, 14), f->low = (unsigned)between(0, 16 - f->bits);
  const size_t sample = deep ? 2 : 1, packed = f->format == SE_FRAME_BGR ? 3 : f->format == SE_FRAME_YUYV ? 2 : 1;
  const int halved = f->format == SE_FRAME_NV12 || f->format == SE_FRAME_I420;
  const size_t rows = halved ? (f->h + 1) / 2 : f->h, columns = f->format == SE_FRAME_I444 ? f->w : (f->w + 1) / 2;
  const size_t row = sample * columns * (f->format == SE_FRAME_NV12 ? 2 : 1);
  f->stride = sample * packed * f->w + 2 * (draw() % 2 ? between(0, 35) : 0);
  f->chroma_stride = row + 2 * (draw() % 2 ? between(0, 35) : 0);
  f->data = j->frame = noise((f->h - 1) * f->stride + sample * packed * f->w);
  if (packed == 1) f->chroma = j->chroma = noise((rows - 1) * f->chroma_stride + row);
  if (packed == 1 && f->format != SE_FRAME_NV12) f->chroma_v = j->chroma_v = noise((rows - 1) * f->chroma_stride + row);
}

static job draw_job(void) {
  job j = {.operation = draw() % OPERATIONS, .h = draw_side(), .w = draw_side(), .dst_h = draw_side(), .dst_w = draw_side()};
  if (draw() % 16 == 0) j.dst_h = between(300, 400), j.dst_w = between(300, 400); /* enough for several threads */
  j.classes = draw_classes();
  j.rule = draw() % 2 ? SE_RESIZE_AREA : SE_RESIZE_BILINEAR;
  j.type = draw() % 4;
  if (draw() % 2) { /* letterboxed */
    j.of_h = draw_side(), j.of_w = draw_side();
    j.top = between(0, j.of_h - 1), j.left = between(0, j.of_w - 1);
    j.view_h = between(1, j.of_h - j.top), j.view_w = between(1, j.of_w - j.left);
  }
  draw_alpha(j.alpha, j.classes);
  draw_alpha(j.line_alpha, j.classes);
  j.want_mask = j.operation == LOGITS && draw() % 2;
  j.want_overlay = !j.want_mask || draw() % 2;
  j.want_lines = draw() % 2;
  j.in_place = j.operation != RESIZE && draw() % 4 == 0;
  if (j.operation == RESIZE) {
    draw_frame(&j, j.h, j.w);
    j.w = j.src.w;
  } else {
    draw_frame(&j, j.dst_h, j.dst_w);
    j.dst_w = j.src.w;
  }
  j.in_place = j.in_place && j.src.format == SE_FRAME_BGR;
  j.frame_stride = j.src.stride;
  j.out_stride = j.in_place ? j.frame_stride : 3 * j.dst_w + (draw() % 2 ? between(0, 70) : 0);
  j.mask_bytes = j.dst_h * j.dst_w;
  j.out_bytes = (j.dst_h - 1) * j.out_stride + 3 * j.dst_w;
  j.logits = as_type(draw_logits(j.classes * j.h * j.w), j.classes * j.h * j.w, j.type);
  j.palette = noise(3 * j.classes);
  j.line_palette = noise(3 * j.classes);
  j.labels = noise(j.mask_bytes);
  if (draw() % 2) memset(j.labels, (int)(draw() % 12), j.mask_bytes / 2);
  j.out_start = j.in_place ? copy(j.frame, j.out_bytes) : noise(j.out_bytes);
  j.mask_start = noise(j.mask_bytes);
  return j;
}

static se_paint_job paint_job(const job *j, uint8_t *out, uint8_t *mask) {
  se_paint_job paint = {.classes = j->classes, .dst_h = j->dst_h, .dst_w = j->dst_w};
  if (j->operation == LOGITS) {
    paint.logits = j->logits;
    paint.type = j->type;
    paint.h = j->h;
    paint.w = j->w;
    paint.top = j->top, paint.left = j->left, paint.view_h = j->view_h, paint.view_w = j->view_w;
    paint.of_h = j->of_h, paint.of_w = j->of_w;
  } else {
    paint.labels = j->labels;
  }
  if (j->want_mask) paint.mask = mask;
  if (!j->want_overlay) return paint;
  if (j->src.format == SE_FRAME_BGR) {
    paint.frame = j->in_place ? out : j->frame;
    paint.frame_stride = j->frame_stride;
  } else {
    paint.source = &j->src;
  }
  paint.overlay = out;
  paint.overlay_stride = j->out_stride;
  paint.palette = j->palette;
  paint.alpha = j->alpha;
  paint.line_palette = j->want_lines ? j->line_palette : NULL;
  paint.line_alpha = j->line_alpha;
  return paint;
}

/* A block of exactly `bytes` at any alignment; free what `start` receives. */
static void *shifted(size_t bytes, void **start) {
  const size_t shift = between(0, 80);
  uint8_t *memory = noise(shift + bytes);
  *start = memory;
  return memory + shift;
}

enum { WHOLE, PIECES, THREADS, WAYS };

static void run(const job *j, const se_kernels *isa, int way, uint8_t *out, uint8_t *mask) {
  const se_paint_job paint = paint_job(j, out, mask);
  const se_frame src = j->src;
  const size_t threads = between(2, 5);
  void *start, *tables_start = NULL;
  if (way == THREADS && j->operation == RESIZE) {
    void *workspace = shifted(se_resize_workspace(&src, j->dst_h, j->dst_w, j->rule, threads), &start);
    se_resize_image(isa, &src, out, j->dst_h, j->dst_w, j->out_stride, j->rule, threads, workspace);
  } else if (way == THREADS) {
    se_paint(isa, &paint, threads, shifted(se_paint_workspace(&paint, threads), &start));
  } else {
    const size_t bytes =
        j->operation == RESIZE ? se_resize_scratch(&src, j->dst_h, j->dst_w, j->rule) : se_paint_scratch(&paint);
    void *scratch = shifted(bytes, &start), *tables = NULL;
    if (j->operation != RESIZE) {
      tables = shifted(se_paint_tables(&paint), &tables_start);
      se_paint_prepare(&paint, tables);
    }
    for (size_t y = 0, next; y < j->dst_h; y = next) {
      next = way == PIECES ? between(y + 1, j->dst_h) : j->dst_h;
      if (j->operation == RESIZE) {
        se_resize(isa, &src, out, j->dst_h, j->dst_w, j->out_stride, j->rule, y, next, scratch);
      } else {
        se_paint_rows(isa, &paint, tables, y, next, scratch);
      }
    }
  }
  free(start);
  free(tables_start);
}

/* Compares one instruction set with what the scalar one wrote. */
static int differs(const job *j, const se_kernels *isa, int way, const uint8_t *out, const uint8_t *mask) {
  uint8_t *my_out = copy(j->out_start, j->out_bytes), *my_mask = copy(j->mask_start, j->mask_bytes);
  run(j, isa, way, my_out, my_mask);
  const int result = memcmp(out, my_out, j->out_bytes) != 0 || memcmp(mask, my_mask, j->mask_bytes) != 0;
  free(my_out);
  free(my_mask);
  return result;
}

static void free_job(job *j) {
  free(j->logits);
  free(j->frame);
  free(j->chroma);
  free(j->chroma_v);
  free(j->palette);
  free(j->line_palette);
  free(j->labels);
  free(j->out_start);
  free(j->mask_start);
}

int main(int argc, char **argv) {
  static const char *operations[] = {"resize", "paint logits", "paint labels"};
  static const char *ways[] = {"", " in pieces", " by threads"};
  const long rounds = argc > 1 ? atol(argv[1]) : 4000;
  const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  for (long round = 0; round < rounds; round++) {
    state = (seed << 32) + (uint64_t)round * 2654435761u + 1;
    for (int i = 0; i < 8; i++) draw();
    job j = draw_job();
    uint8_t *out = copy(j.out_start, j.out_bytes), *mask = copy(j.mask_start, j.mask_bytes);
    run(&j, se_kernels_get("scalar"), WHOLE, out, mask);
    for (size_t i = 0; se_isa_available(i); i++) {
      for (int way = 0; way < WAYS; way++) {
        if (!differs(&j, se_kernels_get(se_isa_available(i)), way, out, mask)) continue;
        fprintf(stderr,
                "fuzz_kernels: round %ld of seed %llu: %s %s%s differs from scalar: (%zu, %zu) to (%zu, %zu), %zu classes, "
                "type %d\n",
                round, (unsigned long long)seed, operations[j.operation], se_isa_available(i), ways[way], j.h, j.w, j.dst_h,
                j.dst_w, j.classes, (int)j.type);
        return 1;
      }
    }
    free(out);
    free(mask);
    free_job(&j);
  }
  printf("fuzz_kernels: %ld rounds, seed %llu, sets:", rounds, (unsigned long long)seed);
  for (size_t i = 0; se_isa_available(i); i++) printf(" %s", se_isa_available(i));
  printf(": no difference\n");
  return 0;
}
