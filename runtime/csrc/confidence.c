/* Logits to a map of how sure they are. Columns of SE_BLOCK pixels are done from top to bottom: the logits' rows above and
 * below a row of pixels are interpolated along x once for all the rows of pixels between them. */
#include "se_kernels.h"
#include "se_pixel.h"
#include "se_scratch.h"
#include <string.h>

/* Where a block's pixels lie among the logits' columns. Past the image's end stands its last pixel again. */
typedef struct {
  int32_t low[SE_BLOCK], high[SE_BLOCK];
  float w0[SE_BLOCK], w1[SE_BLOCK];
} block_columns;

static void locate_columns(const se_paint_job *job, size_t x0, block_columns *columns) {
  const se_view view =
      job->of_w ? (se_view){(int32_t)job->left, (int32_t)job->view_w, (int32_t)job->of_w} : (se_view){0, 1, 1};
  for (size_t i = 0; i < SE_BLOCK; i++) {
    const size_t x = x0 + i < job->dst_w ? x0 + i : job->dst_w - 1;
    const se_position64 p = se_locate_view((int32_t)x, (int32_t)job->w, (int32_t)job->dst_w, view);
    columns->low[i] = p.low;
    columns->high[i] = p.high;
    columns->w1[i] = se_weight64_f32(p.part, p.whole);
    columns->w0[i] = 1.0f - columns->w1[i];
  }
}

/* NaN fails both comparisons. */
static inline float limited(float value) {
  return value > 1e30f ? 1e30f : value >= -1e30f ? value : -1e30f;
}

static inline __attribute__((always_inline)) float value_of(se_logits_type type, const void *plane, int32_t i) {
  switch (type) {
  case SE_LOGITS_F16:
    return limited(se_f16_to_f32(((const uint16_t *)plane)[i]));
  case SE_LOGITS_I8:
    return ((const int8_t *)plane)[i];
  case SE_LOGITS_U8:
    return ((const uint8_t *)plane)[i];
  default:
    return limited(((const float *)plane)[i]);
  }
}

static inline __attribute__((always_inline)) void spread_as(se_logits_type type, size_t size, const se_paint_job *job,
                                                            size_t row, const block_columns *columns, float *out) {
  for (size_t c = 0; c < job->classes; c++) {
    const void *plane = (const unsigned char *)job->logits + size * ((c * job->h + row) * job->w);
    for (size_t i = 0; i < SE_BLOCK; i++) {
      out[c * SE_BLOCK + i] = se_lerp(columns->w0[i], value_of(type, plane, columns->low[i]), columns->w1[i],
                                      value_of(type, plane, columns->high[i]));
    }
  }
}

/* A row of the logits at a block's columns. */
static void spread(const se_paint_job *job, size_t row, const block_columns *columns, float *out) {
  switch (job->type) {
  case SE_LOGITS_F16:
    spread_as(SE_LOGITS_F16, 2, job, row, columns, out);
    break;
  case SE_LOGITS_I8:
    spread_as(SE_LOGITS_I8, 1, job, row, columns, out);
    break;
  case SE_LOGITS_U8:
    spread_as(SE_LOGITS_U8, 1, job, row, columns, out);
    break;
  default:
    spread_as(SE_LOGITS_F32, 4, job, row, columns, out);
  }
}

typedef struct {
  float *rows[2];  /* classes * SE_BLOCK each */
  int32_t held[2]; /* the logits' rows that they are; -1: none */
} window;

static void lay(const se_paint_job *job, se_scratch *scratch, window *both) {
  for (size_t i = 0; i < 2; i++) both->rows[i] = se_scratch_take(scratch, job->classes * SE_BLOCK * sizeof(float));
}

size_t se_confidence_scratch(const se_paint_job *job) {
  se_scratch scratch = se_scratch_open(NULL);
  window both;
  lay(job, &scratch, &both);
  return se_scratch_size(&scratch);
}

/* Makes rows[0] the logits' row `low` and rows[1] its row `high`. Rows of pixels come in ascending order, so that what was
 * below may be above now. */
static void hold(const se_paint_job *job, const block_columns *columns, int32_t low, int32_t high, window *both) {
  if (both->held[0] != low && both->held[1] == low) {
    float *swapped = both->rows[0];
    both->rows[0] = both->rows[1];
    both->rows[1] = swapped;
    both->held[1] = both->held[0];
    both->held[0] = low;
  }
  if (both->held[0] != low) spread(job, (size_t)low, columns, both->rows[0]);
  if (high != low && both->held[1] != high) spread(job, (size_t)high, columns, both->rows[1]);
  both->held[0] = low;
  if (high != low) both->held[1] = high;
}

static void give(const se_paint_job *job, const se_confidence_map *map, const uint8_t *block, size_t at, size_t n) {
  memcpy(map->out + at, block, n);
  if (!job->mask || !map->threshold) return;
  uint8_t *mask = job->mask + at;
  for (size_t i = 0; i < n; i++) mask[i] = block[i] < map->threshold ? map->below : mask[i];
}

void se_confidence_rows(const se_kernels *isa, const se_paint_job *job, const se_confidence_map *map, size_t y0, size_t y1,
                        void *memory) {
  const se_view view =
      job->of_h ? (se_view){(int32_t)job->top, (int32_t)job->view_h, (int32_t)job->of_h} : (se_view){0, 1, 1};
  se_scratch scratch = se_scratch_open(memory);
  window both;
  lay(job, &scratch, &both);
  for (size_t x0 = 0; x0 < job->dst_w; x0 += SE_BLOCK) {
    const size_t n = job->dst_w - x0 < SE_BLOCK ? job->dst_w - x0 : SE_BLOCK;
    block_columns columns;
    locate_columns(job, x0, &columns);
    both.held[0] = both.held[1] = -1;
    for (size_t y = y0; y < y1; y++) {
      const se_position64 p = se_locate_view((int32_t)y, (int32_t)job->h, (int32_t)job->dst_h, view);
      hold(job, &columns, p.low, p.high, &both);
      const float *below = both.rows[p.high != p.low], wy = se_weight64_f32(p.part, p.whole);
      uint8_t block[SE_BLOCK];
      if (map->measure == SE_MARGIN) {
        isa->f32_u8_margin(both.rows[0], below, job->classes, wy, map->scale, block);
      } else {
        isa->f32_u8_probability(both.rows[0], below, job->classes, wy, map->scale, block);
      }
      give(job, map, block, y * job->dst_w + x0, n);
    }
  }
}
