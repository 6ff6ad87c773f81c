/* Separable resize: for each output row a weighted sum of input rows, then of that row's pixels. Both rules are this one
 * loop; they differ in their tables of taps only. Vertical first: it runs along memory, and what is left is one row. */
#include "se_kernels.h"
#include "se_pixel.h"
#include "se_scratch.h"
#include <string.h>

typedef struct {
  int16_t *row;       /* one row between the passes */
  size_t row_length;  /* its elements, padding included */
  int32_t *first;     /* per output column: its first input column */
  int16_t *x_weights; /* per output column: 2 * pairs weights, unused ones 0 */
  size_t pairs;       /* taps of a column, in pairs (what one multiply-add instruction takes) */
  int16_t *y_weights; /* of the current output row */
  size_t scratch_size;
} se_plan;

static bool use_area(size_t src_h, size_t src_w, size_t dst_h, size_t dst_w, se_resize_rule rule) {
  return rule == SE_RESIZE_AREA && dst_h <= src_h && dst_w <= src_w;
}

/* The most input pixels that a box touches: its width rounded up, and one for a start inside a pixel. */
static size_t max_taps(size_t n_in, size_t n_out, bool area) {
  return area ? (n_in + n_out - 1) / n_out + 1 : 2;
}

static se_plan make_plan(size_t src_h, size_t src_w, size_t dst_h, size_t dst_w, bool area, void *memory) {
  se_plan plan;
  se_scratch scratch = se_scratch_open(memory);
  plan.pairs = (max_taps(src_w, dst_w, area) + 1) / 2;
  plan.row_length = 3 * (src_w + 2 * plan.pairs) + SE_ROW_PAD;
  plan.row = se_scratch_take(&scratch, plan.row_length * sizeof(int16_t));
  plan.first = se_scratch_take(&scratch, dst_w * sizeof(int32_t));
  plan.x_weights = se_scratch_take(&scratch, dst_w * 2 * plan.pairs * sizeof(int16_t));
  plan.y_weights = se_scratch_take(&scratch, max_taps(src_h, dst_h, area) * sizeof(int16_t));
  plan.scratch_size = se_scratch_size(&scratch);
  return plan;
}

/* Writes the weights of output pixel i; returns the first input pixel and the number of weights. */
static se_box make_taps(size_t i, size_t n_in, size_t n_out, bool area, int16_t *weights) {
  const int32_t at = (int32_t)i, in = (int32_t)n_in, out = (int32_t)n_out;
  if (area) {
    const se_box box = se_area_box(at, in, out);
    for (int32_t t = 0; t < box.count; t++) weights[t] = (int16_t)se_area_weight(box.first + t, at, in, out);
    return box;
  }
  const se_position p = se_locate(at, in, out);
  const int32_t high = p.low < p.high ? se_weight_fixed(p) : 0;
  weights[0] = (int16_t)((1 << SE_WEIGHT_BITS) - high);
  weights[1] = (int16_t)high;
  return (se_box){p.low, high ? 2 : 1};
}

size_t se_resize_scratch(size_t src_h, size_t src_w, size_t dst_h, size_t dst_w, se_resize_rule rule) {
  return make_plan(src_h, src_w, dst_h, dst_w, use_area(src_h, src_w, dst_h, dst_w, rule), NULL).scratch_size;
}

void se_resize(const se_kernels *isa, const uint8_t *src, size_t src_h, size_t src_w, size_t src_stride, uint8_t *dst,
               size_t dst_h, size_t dst_w, se_resize_rule rule, size_t y0, size_t y1, void *scratch) {
  const bool area = use_area(src_h, src_w, dst_h, dst_w, rule);
  const se_plan plan = make_plan(src_h, src_w, dst_h, dst_w, area, scratch);
  memset(plan.x_weights, 0, dst_w * 2 * plan.pairs * sizeof(int16_t));
  for (size_t x = 0; x < dst_w; x++) {
    plan.first[x] = make_taps(x, src_w, dst_w, area, plan.x_weights + 2 * plan.pairs * x).first;
  }
  /* Unused taps of the last columns read here, with weight 0. */
  memset(plan.row + 3 * src_w, 0, (plan.row_length - 3 * src_w) * sizeof(int16_t));

  for (size_t y = y0; y < y1; y++) {
    const se_box rows = make_taps(y, src_h, dst_h, area, plan.y_weights);
    const uint8_t *top = src + (size_t)rows.first * src_stride;
    isa->u8_i16_vsum(top, src_stride, plan.y_weights, (size_t)rows.count, 3 * src_w, plan.row);
    isa->i16_u8_hsum3(plan.row, plan.first, plan.x_weights, plan.pairs, dst_w, dst + y * 3 * dst_w);
  }
}
