/* Separable resize: for each output row a weighted sum of input rows, then of that row's pixels. Both rules are this one
 * loop; they differ in their tables of taps only. Vertical first: it runs along memory, and what is left is one row. */
#include "se_convert.h"
#include "se_scratch.h"
#include <string.h>

typedef struct {
  int16_t *row;       /* one row between the passes */
  size_t row_length;  /* its elements, padding included */
  int32_t *first;     /* per output column: its first input column */
  int16_t *x_weights; /* per output column: 2 * pairs weights, unused ones 0 */
  size_t pairs;       /* taps of a column, in pairs (what one multiply-add instruction takes) */
  int16_t *y_weights; /* of the current output row */
  uint8_t *bgr;       /* not BGR: the rows of a box, converted, `strip` pixels of each */
  size_t strip;
  se_box converted; /* the input rows that bgr holds, where a strip is a whole row */
  size_t scratch_size;
} se_plan;

/* Converted rows that stay in the first level of cache while they are summed; and the least that is worth a call. */
enum { BOX_BYTES = 24576, MIN_STRIP = 64 };

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
    plan.strip = src->w;
    if (rows > 8) { /* small boxes share rows with the next ones, which are converted once if strips are whole rows */
      const size_t most = BOX_BYTES / (3 * rows) / MIN_STRIP * MIN_STRIP;
      if (most < plan.strip) plan.strip = most ? most : MIN_STRIP < src->w ? MIN_STRIP : src->w;
    }
    plan.bgr = se_scratch_take(&scratch, rows * 3 * plan.strip);
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

/* Brings input rows `rows` of pixels x0 .. x0 + n to plan->bgr. */
static void convert_box(const se_kernels *isa, const se_frame *src, const se_yuv *colour, se_plan *plan, se_box rows,
                        size_t x0, size_t n) {
  const size_t pitch = 3 * plan->strip;
  const int32_t end = plan->converted.first + plan->converted.count;
  int32_t kept = 0;
  if (plan->strip == src->w && rows.first >= plan->converted.first && rows.first < end) {
    kept = end - rows.first < rows.count ? end - rows.first : rows.count;
    memmove(plan->bgr, plan->bgr + (size_t)(rows.first - plan->converted.first) * pitch, (size_t)kept * pitch);
  }
  for (int32_t t = kept; t < rows.count; t++) {
    se_convert_row(isa, src, colour, (size_t)(rows.first + t), x0, n, plan->bgr + (size_t)t * pitch);
  }
  plan->converted = rows;
}

/* The weighted sum of the frame's rows, as BGR: plan->row. */
static void sum_rows(const se_kernels *isa, const se_frame *src, const se_yuv *colour, se_plan *plan, se_box rows) {
  const size_t taps = (size_t)rows.count;
  if (src->format == SE_FRAME_BGR) {
    const uint8_t *top = src->data + (size_t)rows.first * src->stride;
    isa->u8_i16_vsum(top, src->stride, plan->y_weights, taps, 3 * src->w, plan->row);
    return;
  }
  for (size_t x = 0; x < src->w; x += plan->strip) {
    const size_t n = src->w - x < plan->strip ? src->w - x : plan->strip;
    convert_box(isa, src, colour, plan, rows, x, n);
    isa->u8_i16_vsum(plan->bgr, 3 * plan->strip, plan->y_weights, taps, 3 * n, plan->row + 3 * x);
  }
}

size_t se_resize_scratch(const se_frame *src, size_t dst_h, size_t dst_w, se_resize_rule rule) {
  return make_plan(src, dst_h, dst_w, use_area(src->h, src->w, dst_h, dst_w, rule), NULL).scratch_size;
}

void se_resize_rows(const se_kernels *isa, const se_frame *src, uint8_t *rows, size_t dst_h, size_t dst_w, size_t dst_stride,
                    se_resize_rule rule, size_t y0, size_t y1, void *scratch) {
  const bool area = use_area(src->h, src->w, dst_h, dst_w, rule);
  const se_yuv colour = se_colour(src);
  if (src->format != SE_FRAME_BGR && dst_h == src->h && dst_w == src->w) {
    for (size_t y = y0; y < y1; y++) se_convert_row(isa, src, &colour, y, 0, src->w, rows + (y - y0) * dst_stride);
    return;
  }
  se_plan plan = make_plan(src, dst_h, dst_w, area, scratch);
  memset(plan.x_weights, 0, dst_w * 2 * plan.pairs * sizeof(int16_t));
  for (size_t x = 0; x < dst_w; x++) {
    plan.first[x] = make_taps(x, src->w, dst_w, area, plan.x_weights + 2 * plan.pairs * x).first;
  }
  /* Unused taps of the last columns read here, with weight 0. */
  memset(plan.row + 3 * src->w, 0, (plan.row_length - 3 * src->w) * sizeof(int16_t));

  for (size_t y = y0; y < y1; y++) {
    sum_rows(isa, src, &colour, &plan, make_taps(y, src->h, dst_h, area, plan.y_weights));
    isa->i16_u8_hsum3(plan.row, plan.first, plan.x_weights, plan.pairs, dst_w, rows + (y - y0) * dst_stride);
  }
}

void se_resize(const se_kernels *isa, const se_frame *src, uint8_t *dst, size_t dst_h, size_t dst_w, size_t dst_stride,
               se_resize_rule rule, size_t y0, size_t y1, void *scratch) {
  se_resize_rows(isa, src, dst + y0 * dst_stride, dst_h, dst_w, dst_stride, rule, y0, y1, scratch);
}
