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
  int16_t *c_weights; /* and of its rows of chroma */
  int16_t *luma;      /* NV12, YUYV: one row before the conversion */
  int16_t *chroma;
  size_t scratch_size;
} se_plan;

static bool use_area(size_t src_h, size_t src_w, size_t dst_h, size_t dst_w, se_resize_rule rule) {
  return rule == SE_RESIZE_AREA && dst_h <= src_h && dst_w <= src_w;
}

/* The most input pixels that a box touches: its width rounded up, and one for a start inside a pixel. */
static size_t max_taps(size_t n_in, size_t n_out, bool area) {
  return area ? (n_in + n_out - 1) / n_out + 1 : 2;
}

static se_plan make_plan(const se_frame *src, size_t dst_h, size_t dst_w, bool area, void *memory) {
  se_plan plan = {0};
  se_scratch scratch = se_scratch_open(memory);
  const size_t rows = max_taps(src->h, dst_h, area);
  plan.pairs = (max_taps(src->w, dst_w, area) + 1) / 2;
  plan.row_length = 3 * (src->w + 2 * plan.pairs) + SE_ROW_PAD;
  plan.row = se_scratch_take(&scratch, plan.row_length * sizeof(int16_t));
  plan.first = se_scratch_take(&scratch, dst_w * sizeof(int32_t));
  plan.x_weights = se_scratch_take(&scratch, dst_w * 2 * plan.pairs * sizeof(int16_t));
  plan.y_weights = se_scratch_take(&scratch, rows * sizeof(int16_t));
  if (src->format != SE_FRAME_BGR) {
    plan.c_weights = se_scratch_take(&scratch, rows * sizeof(int16_t));
    plan.luma = se_scratch_take(&scratch, 2 * src->w * sizeof(int16_t));
    plan.chroma = se_scratch_take(&scratch, src->w * sizeof(int16_t));
  }
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

/* Rows of chroma under rows of luma: a row of chroma has the weights of the two rows it serves. */
static se_box chroma_taps(se_box rows, const int16_t *weights, int16_t *chroma) {
  const int32_t first = rows.first / 2, last = (rows.first + rows.count - 1) / 2;
  for (int32_t k = first; k <= last; k++) chroma[k - first] = 0;
  for (int32_t t = 0; t < rows.count; t++) chroma[(rows.first + t) / 2 - first] += weights[t];
  return (se_box){first, last - first + 1};
}

/* The weighted sum of the frame's rows, as BGR: plan->row. */
static void sum_rows(const se_kernels *isa, const se_frame *src, const se_plan *plan, se_box rows) {
  const uint8_t *top = src->data + (size_t)rows.first * src->stride;
  const size_t taps = (size_t)rows.count;
  switch (src->format) {
  case SE_FRAME_NV12: {
    const se_box under = chroma_taps(rows, plan->y_weights, plan->c_weights);
    const uint8_t *chroma = src->chroma + (size_t)under.first * src->chroma_stride;
    isa->u8_i16_vsum(top, src->stride, plan->y_weights, taps, src->w, plan->luma);
    isa->u8_i16_vsum(chroma, src->chroma_stride, plan->c_weights, (size_t)under.count, src->w, plan->chroma);
    isa->i16_nv12_bgr(plan->luma, plan->chroma, src->w, plan->row);
    break;
  }
  case SE_FRAME_YUYV:
    isa->u8_i16_vsum(top, src->stride, plan->y_weights, taps, 2 * src->w, plan->luma);
    isa->i16_yuyv_bgr(plan->luma, src->w, plan->row);
    break;
  default:
    isa->u8_i16_vsum(top, src->stride, plan->y_weights, taps, 3 * src->w, plan->row);
  }
}

size_t se_resize_scratch(const se_frame *src, size_t dst_h, size_t dst_w, se_resize_rule rule) {
  return make_plan(src, dst_h, dst_w, use_area(src->h, src->w, dst_h, dst_w, rule), NULL).scratch_size;
}

void se_resize(const se_kernels *isa, const se_frame *src, uint8_t *dst, size_t dst_h, size_t dst_w, size_t dst_stride,
               se_resize_rule rule, size_t y0, size_t y1, void *scratch) {
  const bool area = use_area(src->h, src->w, dst_h, dst_w, rule);
  const se_plan plan = make_plan(src, dst_h, dst_w, area, scratch);
  memset(plan.x_weights, 0, dst_w * 2 * plan.pairs * sizeof(int16_t));
  for (size_t x = 0; x < dst_w; x++) {
    plan.first[x] = make_taps(x, src->w, dst_w, area, plan.x_weights + 2 * plan.pairs * x).first;
  }
  /* Unused taps of the last columns read here, with weight 0. */
  memset(plan.row + 3 * src->w, 0, (plan.row_length - 3 * src->w) * sizeof(int16_t));

  for (size_t y = y0; y < y1; y++) {
    sum_rows(isa, src, &plan, make_taps(y, src->h, dst_h, area, plan.y_weights));
    isa->i16_u8_hsum3(plan.row, plan.first, plan.x_weights, plan.pairs, dst_w, dst + y * dst_stride);
  }
}
