/* One output pixel of each operation, for kernels that give every pixel a thread of its own. What the C kernels compute row
 * by row with tables is computed here on the spot, from the same functions of se_pixel.h, and gives the same bytes. Plain
 * C11 too: the tests run it on the CPU. segedge.h states the contracts. */
#ifndef SE_IMAGE_H
#define SE_IMAGE_H

#include "se_pixel.h"
#include <math.h>
#include <stddef.h>

/* The input pixels that output pixel i is made of, and their weights in fixed point. */
typedef struct {
  int32_t first, count, i, n_in, n_out;
  int32_t high; /* bilinear: weight of the second pixel */
  int32_t area;
} se_taps;

SE_HD static inline se_taps se_make_taps(int32_t i, int32_t n_in, int32_t n_out, int32_t area) {
  se_taps t;
  t.i = i;
  t.n_in = n_in;
  t.n_out = n_out;
  t.area = area;
  t.high = 0;
  if (area) {
    const se_box box = se_area_box(i, n_in, n_out);
    t.first = box.first;
    t.count = box.count;
  } else {
    const se_position p = se_locate(i, n_in, n_out);
    t.high = p.low < p.high ? se_weight_fixed(p) : 0;
    t.first = p.low;
    t.count = t.high ? 2 : 1;
  }
  return t;
}

SE_HD static inline int32_t se_tap_weight(const se_taps *t, int32_t k) {
  if (t->area) return se_area_weight(t->first + k, t->i, t->n_in, t->n_out);
  return k ? t->high : (1 << SE_WEIGHT_BITS) - t->high;
}

/* se_resize: src uint8 (src_h, src_w, 3); area != 0 only where neither side grows; out: three bytes. */
SE_HD static inline void se_resize_pixel(const uint8_t *src, size_t src_stride, int32_t src_h, int32_t src_w, int32_t dst_h,
                                         int32_t dst_w, int32_t area, int32_t x, int32_t y, uint8_t *out) {
  const se_taps rows = se_make_taps(y, src_h, dst_h, area), columns = se_make_taps(x, src_w, dst_w, area);
  int32_t sum[3] = {1 << (SE_H_SHIFT - 1), 1 << (SE_H_SHIFT - 1), 1 << (SE_H_SHIFT - 1)};
  for (int32_t j = 0; j < columns.count; j++) {
    const uint8_t *top = src + (size_t)rows.first * src_stride + 3 * (size_t)(columns.first + j);
    int32_t column[3] = {1 << (SE_V_SHIFT - 1), 1 << (SE_V_SHIFT - 1), 1 << (SE_V_SHIFT - 1)};
    for (int32_t i = 0; i < rows.count; i++) {
      const int32_t weight = se_tap_weight(&rows, i);
      for (int c = 0; c < 3; c++) column[c] += weight * top[(size_t)i * src_stride + (size_t)c];
    }
    const int32_t weight = se_tap_weight(&columns, j);
    for (int c = 0; c < 3; c++) sum[c] += weight * (column[c] >> SE_V_SHIFT);
  }
  for (int c = 0; c < 3; c++) out[c] = (uint8_t)(sum[c] >> SE_H_SHIFT);
}

/* Highest class of one pixel of the logits, float32 (classes, h, w): ties go to the lowest, NaN counts as minus infinity. */
SE_HD static inline uint8_t se_corner_pixel(const float *logits, int32_t classes, size_t plane, size_t at) {
  float best = -INFINITY;
  uint8_t label = 0;
  for (int32_t c = 0; c < classes; c++) {
    const float value = logits[(size_t)c * plane + at];
    if (value > best) {
      best = value;
      label = (uint8_t)c;
    }
  }
  return label;
}

/* se_upsample_argmax: corners: uint8 (h, w), se_corner_pixel of each. Where the four around a pixel agree, so does the
 * pixel. */
SE_HD static inline uint8_t se_upsample_pixel(const float *logits, const uint8_t *corners, int32_t classes, int32_t h,
                                              int32_t w, int32_t dst_h, int32_t dst_w, int32_t x, int32_t y) {
  const se_position py = se_locate(y, h, dst_h), px = se_locate(x, w, dst_w);
  const size_t plane = (size_t)h * (size_t)w;
  const size_t above = (size_t)py.low * (size_t)w, below = (size_t)py.high * (size_t)w;
  const uint8_t first = corners[above + (size_t)px.low];
  if (corners[above + (size_t)px.high] == first && corners[below + (size_t)px.low] == first &&
      corners[below + (size_t)px.high] == first) {
    return first;
  }
  const float wy = se_weight_f32(py), wx = se_weight_f32(px), wy0 = 1.0f - wy, wx0 = 1.0f - wx;
  float best = -INFINITY;
  uint8_t label = 0;
  for (int32_t c = 0; c < classes; c++) {
    const float *top = logits + (size_t)c * plane + above, *bottom = logits + (size_t)c * plane + below;
    const float left = se_lerp(wy0, top[px.low], wy, bottom[px.low]);
    const float right = se_lerp(wy0, top[px.high], wy, bottom[px.high]);
    const float value = se_lerp(wx0, left, wx, right);
    if (value > best) {
      best = value;
      label = (uint8_t)c;
    }
  }
  return label;
}

/* se_blend: one pixel; a label without a colour (void) keeps the frame. */
SE_HD static inline void se_paint_pixel(uint8_t label, const uint8_t *palette, int32_t classes, const uint8_t *frame,
                                        unsigned alpha, uint8_t *out) {
  for (int c = 0; c < 3; c++) {
    out[c] = label < classes ? se_blend_u8(frame[c], palette[3 * (size_t)label + (size_t)c], alpha) : frame[c];
  }
}

#endif
