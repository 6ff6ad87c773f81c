/* The oracle: what every other instruction set must return, byte for byte. se_kernels.h states each contract. */
#include "se_confidence.h"
#include "se_kernels.h"
#include "se_pixel.h"
#include <float.h>
#include <math.h>

#if FLT_EVAL_METHOD != 0
#error                                                                                                                      \
    "float expressions must be rounded to float: build for a CPU with IEEE single precision (on i386: -mfpmath=sse -msse2)"
#endif

static void u8_i16_vsum__scalar(const uint8_t *rows, size_t stride, const int16_t *weights, size_t taps, size_t n,
                                int16_t *out) {
  enum { BLOCK = 64 }; /* sums that stay in registers while the rows pass by */
  for (size_t start = 0; start < n; start += BLOCK) {
    const size_t count = n - start < BLOCK ? n - start : BLOCK;
    int32_t sum[BLOCK];
    for (size_t i = 0; i < count; i++) sum[i] = 1 << (SE_V_SHIFT - 1);
    for (size_t t = 0; t < taps; t++) {
      const uint8_t *row = rows + t * stride + start;
      for (size_t i = 0; i < count; i++) sum[i] += weights[t] * row[i];
    }
    for (size_t i = 0; i < count; i++) out[start + i] = (int16_t)(sum[i] >> SE_V_SHIFT);
  }
}

static void i16_u8_hsum3__scalar(const int16_t *row, const int32_t *first, const int16_t *weights, size_t pairs, size_t n,
                                 uint8_t *out) {
  const size_t taps = 2 * pairs;
  for (size_t i = 0; i < n; i++) {
    const int16_t *pixel = row + 3 * (size_t)first[i], *weight = weights + taps * i;
    int32_t sum[3] = {1 << (SE_H_SHIFT - 1), 1 << (SE_H_SHIFT - 1), 1 << (SE_H_SHIFT - 1)};
    for (size_t t = 0; t < taps; t++) {
      for (size_t c = 0; c < 3; c++) sum[c] += weight[t] * pixel[3 * t + c];
    }
    for (size_t c = 0; c < 3; c++) out[3 * i + c] = (uint8_t)(sum[c] >> SE_H_SHIFT);
  }
}

/* y_step, uv_step: words from one sample to the next; share: pixels of one u and v. */
#define TO_BGR(name, type, y_step, uv_step, share, u_of, v_of)                                                              \
  static void name##_bgr__scalar SE_TO_BGR {                                                                                \
    const type *luma = y, *first = u_of, *second = v_of;                                                                    \
    (void)u, (void)v;                                                                                                       \
    for (size_t i = 0; i < n; i++) {                                                                                        \
      const size_t at = i / share * uv_step;                                                                                \
      se_yuv_to_bgr(colour, luma[y_step * i], first[at], second[at], out + 3 * i);                                          \
    }                                                                                                                       \
  }
TO_BGR(u8_nv12, uint8_t, 1, 2, 2, u, first + 1)
TO_BGR(u8_yuyv, uint8_t, 2, 4, 2, luma + 1, luma + 3)
TO_BGR(u8_i422, uint8_t, 1, 1, 2, u, v)
TO_BGR(u8_i444, uint8_t, 1, 1, 1, u, v)
TO_BGR(u16_nv12, uint16_t, 1, 2, 2, u, first + 1)
TO_BGR(u16_i422, uint16_t, 1, 1, 2, u, v)
TO_BGR(u16_i444, uint16_t, 1, 1, 1, u, v)

static inline float f32_value(const void *plane, size_t i) {
  return ((const float *)plane)[i];
}

static inline float f16_value(const void *plane, size_t i) {
  return se_f16_to_f32(((const uint16_t *)plane)[i]);
}

static inline float i8_value(const void *plane, size_t i) {
  return (float)((const int8_t *)plane)[i];
}

static inline float u8_value(const void *plane, size_t i) {
  return (float)((const uint8_t *)plane)[i];
}

/* One body for every type of logits; `value` is a constant wherever it is inlined. */
typedef float (*value_at)(const void *plane, size_t i);

static inline __attribute__((always_inline)) void argmax(value_at value, const void *plane, size_t plane_stride,
                                                         size_t classes, size_t n, uint8_t *out) {
  for (size_t x = 0; x < n; x++) {
    float best = -INFINITY;
    uint8_t label = 0;
    for (size_t c = 0; c < classes; c++) {
      const float here = value(plane, c * plane_stride + x);
      if (here > best) {
        best = here;
        label = (uint8_t)c;
      }
    }
    out[x] = label;
  }
}

static inline __attribute__((always_inline)) void lerp_argmax(value_at value, const void *above, const void *below,
                                                              size_t plane_stride, const uint8_t *classes, size_t count,
                                                              float wy, const int32_t *low, const int32_t *high,
                                                              const float *wx, size_t x0, size_t x1, uint8_t *out) {
  const float wy0 = 1.0f - wy;
  for (size_t x = x0; x < x1; x++) {
    const float wx0 = 1.0f - wx[x];
    float best = -INFINITY;
    uint8_t label = 0;
    for (size_t k = 0; k < count; k++) {
      const size_t c = classes[k], a = c * plane_stride + (size_t)low[x], b = c * plane_stride + (size_t)high[x];
      const float left = se_lerp(wy0, value(above, a), wy, value(below, a));
      const float right = se_lerp(wy0, value(above, b), wy, value(below, b));
      const float here = se_lerp(wx0, left, wx[x], right);
      if (here > best) {
        best = here;
        label = (uint8_t)c;
      }
    }
    out[x] = label;
  }
}

#define LOGITS(type)                                                                                                        \
  static void type##_u8_argmax__scalar SE_ARGMAX {                                                                          \
    argmax(type##_value, plane, plane_stride, classes, n, out);                                                             \
  }                                                                                                                         \
  static void type##_u8_lerp_argmax__scalar SE_LERP_ARGMAX {                                                                \
    (void)w;                                                                                                                \
    lerp_argmax(type##_value, above, below, plane_stride, classes, count, wy, low, high, wx, x0, x1, out);                  \
  }
LOGITS(f32)
LOGITS(f16)
LOGITS(i8)
LOGITS(u8)

static void u8_u32_count__scalar(const uint8_t *labels, size_t n, uint32_t *counts) {
  for (size_t i = 0; i < n; i++) counts[labels[i]]++;
}

static void u8_u32_sad48__scalar(const uint8_t *a, const uint8_t *b, size_t n, uint32_t *sums) {
  for (size_t start = 0; start < n; start += 48, sums++) {
    const size_t end = start + 48 < n ? start + 48 : n;
    uint32_t sum = 0;
    for (size_t i = start; i < end; i++) sum += (uint32_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    *sums += sum;
  }
}

static void u8_u16_mix__scalar(const uint8_t *frame, unsigned keep, const uint16_t *add, size_t n, uint8_t *out) {
  for (size_t i = 0; i < n; i++) out[i] = (uint8_t)((frame[i] * keep + add[i]) >> 8);
}

static void u8_u16_mix_each__scalar(const uint8_t *frame, const uint16_t *keep, const uint16_t *add, size_t n,
                                    uint8_t *out) {
  for (size_t i = 0; i < n; i++) out[i] = (uint8_t)((frame[i] * (unsigned)keep[i] + add[i]) >> 8);
}

SE_CONFIDENCE_KERNELS(scalar)

#define SE_COLUMN(name, parameters) name##__scalar,
const se_kernels se_kernels__scalar = {"scalar", SE_KERNELS(SE_COLUMN)};
