/* NEON (AArch64). Multiplies and adds of floats stay apart (no FMA), and per element the order of operations is the scalar
 * file's. */
#include "se_confidence.h"
#include "se_kernels.h"
#include "se_pixel.h"
#include <arm_neon.h>
#include <math.h>
#include <string.h>

static void u8_i16_vsum__neon(const uint8_t *rows, size_t stride, const int16_t *weights, size_t taps, size_t n,
                              int16_t *out) {
  if (n < 16) {
    se_kernels__scalar.u8_i16_vsum(rows, stride, weights, taps, n, out);
    return;
  }
  for (size_t i = 0; i < n; i += 16) {
    if (i + 16 > n) i = n - 16; /* the last block overlaps the one before: the same sums are stored again */
    int32x4_t sum[4];
    for (size_t k = 0; k < 4; k++) sum[k] = vdupq_n_s32(1 << (SE_V_SHIFT - 1));
    for (size_t t = 0; t < taps; t++) {
      const uint8x16_t bytes = vld1q_u8(rows + t * stride + i);
      const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes)));
      const int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(bytes)));
      sum[0] = vmlal_n_s16(sum[0], vget_low_s16(low), weights[t]);
      sum[1] = vmlal_n_s16(sum[1], vget_high_s16(low), weights[t]);
      sum[2] = vmlal_n_s16(sum[2], vget_low_s16(high), weights[t]);
      sum[3] = vmlal_n_s16(sum[3], vget_high_s16(high), weights[t]);
    }
    vst1q_s16(out + i, vcombine_s16(vshrn_n_s32(sum[0], SE_V_SHIFT), vshrn_n_s32(sum[1], SE_V_SHIFT)));
    vst1q_s16(out + i + 8, vcombine_s16(vshrn_n_s32(sum[2], SE_V_SHIFT), vshrn_n_s32(sum[3], SE_V_SHIFT)));
  }
}

/* One output pixel: (b, g, r, something) as uint16. */
static inline uint16x4_t hsum_pixel(const int16_t *pixel, const int16_t *weights, size_t taps) {
  int32x4_t sum = vdupq_n_s32(1 << (SE_H_SHIFT - 1));
  for (size_t t = 0; t < taps; t++) sum = vmlal_n_s16(sum, vld1_s16(pixel + 3 * t), weights[t]);
  return vqmovun_s32(vshrq_n_s32(sum, SE_H_SHIFT));
}

static void i16_u8_hsum3__neon(const int16_t *row, const int32_t *first, const int16_t *weights, size_t pairs, size_t n,
                               uint8_t *out) {
  static const uint8_t drop_fourth[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255};
  const uint8x16_t order = vld1q_u8(drop_fourth);
  const size_t taps = 2 * pairs;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    uint16x4_t pixel[4];
    for (size_t k = 0; k < 4; k++) {
      pixel[k] = hsum_pixel(row + 3 * (size_t)first[i + k], weights + taps * (i + k), taps);
    }
    const uint8x8_t low = vmovn_u16(vcombine_u16(pixel[0], pixel[1])), high = vmovn_u16(vcombine_u16(pixel[2], pixel[3]));
    const uint8x16_t bytes = vqtbl1q_u8(vcombine_u8(low, high), order);
    const uint32_t last = vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 2);
    vst1_u8(out + 3 * i, vget_low_u8(bytes));
    memcpy(out + 3 * i + 8, &last, sizeof last);
  }
  se_kernels__scalar.i16_u8_hsum3(row, first + i, weights + taps * i, pairs, n - i, out + 3 * i);
}

typedef enum { NV12, YUYV, I422, I444 } yuv_layout; /* a constant wherever it is inlined */

typedef struct {
  uint16x8_t y, u, v;
} yuv8;

static inline uint16x8_t twice8(const uint8_t *bytes) { /* reads four */
  uint32_t four;
  memcpy(&four, bytes, sizeof four);
  const uint8x8_t words = vreinterpret_u8_u32(vdup_n_u32(four));
  return vmovl_u8(vzip1_u8(words, words));
}

static inline uint16x8_t twice16(const uint16_t *words) {
  const uint16x4_t four = vld1_u16(words);
  return vcombine_u16(vzip1_u16(four, four), vzip2_u16(four, four));
}

/* Samples of pixels i .. i + 7 as words, u and v one for each; i is even. */
static inline __attribute__((always_inline)) yuv8 load_yuv8(yuv_layout layout, const uint8_t *y, const uint8_t *u,
                                                            const uint8_t *v, size_t i) {
  yuv8 s;
  if (layout == YUYV) {
    const uint8x8x2_t parts = vld2_u8(y + 2 * i); /* y y y ..., u v u ... */
    s.y = vmovl_u8(parts.val[0]);
    s.u = vmovl_u8(vtrn1_u8(parts.val[1], parts.val[1]));
    s.v = vmovl_u8(vtrn2_u8(parts.val[1], parts.val[1]));
    return s;
  }
  s.y = vmovl_u8(vld1_u8(y + i));
  if (layout == NV12) {
    const uint8x8_t pairs = vld1_u8(u + i);
    s.u = vmovl_u8(vtrn1_u8(pairs, pairs));
    s.v = vmovl_u8(vtrn2_u8(pairs, pairs));
  } else if (layout == I422) {
    s.u = twice8(u + i / 2);
    s.v = twice8(v + i / 2);
  } else {
    s.u = vmovl_u8(vld1_u8(u + i));
    s.v = vmovl_u8(vld1_u8(v + i));
  }
  return s;
}

static inline __attribute__((always_inline)) yuv8 load_yuv16(yuv_layout layout, const uint16_t *y, const uint16_t *u,
                                                             const uint16_t *v, size_t i) {
  yuv8 s;
  s.y = vld1q_u16(y + i);
  if (layout == NV12) {
    const uint16x8_t pairs = vld1q_u16(u + i);
    s.u = vtrn1q_u16(pairs, pairs);
    s.v = vtrn2q_u16(pairs, pairs);
  } else if (layout == I422) {
    s.u = twice16(u + i / 2);
    s.v = twice16(v + i / 2);
  } else {
    s.u = vld1q_u16(u + i);
    s.v = vld1q_u16(v + i);
  }
  return s;
}

/* Words less their zero, shifted up to 16 bits. */
static inline int16x8_t yuv_value(const se_yuv *c, uint16x8_t words, int16_t zero, int16_t up) {
  const uint16x8_t shifted = vshlq_u16(words, vdupq_n_s16((int16_t)-c->drop));
  const int16x8_t sample = vreinterpretq_s16_u16(vandq_u16(shifted, vdupq_n_u16((uint16_t)c->mask)));
  return vshlq_s16(vsubq_s16(sample, vdupq_n_s16(zero)), vdupq_n_s16(up));
}

/* Eight pixels to 24 bytes. Sums that saturate lie far above 255. */
static inline void yuv_to_bgr8(const se_yuv *c, yuv8 s, uint8_t *out) {
  const int16x8_t luma = vqrdmulhq_n_s16(yuv_value(c, s.y, c->black, c->y_up), c->y);
  const int16x8_t u = yuv_value(c, s.u, c->grey, c->uv_up), v = yuv_value(c, s.v, c->grey, c->uv_up);
  const int16x8_t chroma = vaddq_s16(vqrdmulhq_n_s16(u, c->gu), vqrdmulhq_n_s16(v, c->gv));
  const uint8x8x3_t bgr = {{vqrshrun_n_s16(vqaddq_s16(luma, vqrdmulhq_n_s16(u, c->bu)), SE_YUV_BITS),
                            vqrshrun_n_s16(vqaddq_s16(luma, chroma), SE_YUV_BITS),
                            vqrshrun_n_s16(vqaddq_s16(luma, vqrdmulhq_n_s16(v, c->rv)), SE_YUV_BITS)}};
  vst3_u8(out, bgr);
}

/* y_step, uv_step: samples of a plane for a pixel, and for two. */
#define TO_BGR(bits, name, layout, y_step, uv_step)                                                                         \
  static void u##bits##_##name##_bgr__neon SE_TO_BGR {                                                                      \
    const uint##bits##_t *luma = y, *first = u, *second = v;                                                                \
    size_t i = 0;                                                                                                           \
    for (; i + 8 <= n; i += 8) yuv_to_bgr8(colour, load_yuv##bits(layout, luma, first, second, i), out + 3 * i);            \
    se_kernels__scalar.u##bits##_##name##_bgr(colour, luma + y_step * i, first ? first + i / 2 * uv_step : NULL,            \
                                              second ? second + i / 2 * uv_step : NULL, n - i, out + 3 * i);                \
  }
TO_BGR(8, nv12, NV12, 1, 2)
TO_BGR(8, yuyv, YUYV, 2, 0)
TO_BGR(8, i422, I422, 1, 1)
TO_BGR(8, i444, I444, 1, 2)
TO_BGR(16, nv12, NV12, 1, 2)
TO_BGR(16, i422, I422, 1, 1)
TO_BGR(16, i444, I444, 1, 2)

typedef enum { F32, F16, I8, U8 } logits_type; /* a constant wherever it is inlined */

/* Elements i .. i + 7 as float: exact. */
static inline __attribute__((always_inline)) float32x4x2_t load8(logits_type type, const void *plane, size_t i) {
  float32x4x2_t value;
  switch (type) {
  case F16: {
    const uint16x8_t half = vld1q_u16((const uint16_t *)plane + i);
    value.val[0] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(half)));
    value.val[1] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(half)));
    break;
  }
  case I8: {
    const int16x8_t word = vmovl_s8(vld1_s8((const int8_t *)plane + i));
    value.val[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(word)));
    value.val[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(word)));
    break;
  }
  case U8: {
    const uint16x8_t word = vmovl_u8(vld1_u8((const uint8_t *)plane + i));
    value.val[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(word)));
    value.val[1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(word)));
    break;
  }
  default:
    value.val[0] = vld1q_f32((const float *)plane + i);
    value.val[1] = vld1q_f32((const float *)plane + i + 4);
  }
  return value;
}

/* Takes class c where its value is higher; NaN is never higher. */
static inline void keep_higher(float32x4_t value, uint32x4_t c, float32x4_t *best, uint32x4_t *label) {
  const uint32x4_t higher = vcgtq_f32(value, *best);
  *best = vbslq_f32(higher, value, *best);
  *label = vbslq_u32(higher, c, *label);
}

/* 4 x 4 labels to 16 bytes. */
static inline void store_labels(uint8_t *out, const uint32x4_t label[4]) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(label[0]), vmovn_u32(label[1]));
  const uint16x8_t high = vcombine_u16(vmovn_u32(label[2]), vmovn_u32(label[3]));
  vst1q_u8(out, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
}

/* Needs n >= 16. */
static inline __attribute__((always_inline)) void argmax_row(logits_type type, const void *plane, size_t plane_stride,
                                                             size_t classes, size_t n, uint8_t *out) {
  for (size_t x = 0; x < n; x += 16) {
    if (x + 16 > n) x = n - 16;
    float32x4_t best[4];
    uint32x4_t label[4];
    for (size_t k = 0; k < 4; k++) best[k] = vdupq_n_f32(-INFINITY), label[k] = vdupq_n_u32(0);
    for (size_t c = 0; c < classes; c++) {
      const uint32x4_t name = vdupq_n_u32((uint32_t)c);
      for (size_t half = 0; half < 2; half++) {
        const float32x4x2_t value = load8(type, plane, c * plane_stride + x + 8 * half);
        keep_higher(value.val[0], name, best + 2 * half, label + 2 * half);
        keep_higher(value.val[1], name, best + 2 * half + 1, label + 2 * half + 1);
      }
    }
    store_labels(out + x, label);
  }
}

/* Codes are compared as bytes, 16 at once; `flip` turns the order of signed ones into that of unsigned ones. */
static inline __attribute__((always_inline)) void argmax_codes(const uint8_t *plane, size_t plane_stride, size_t classes,
                                                               size_t n, uint8_t flip, uint8_t *out) {
  const uint8x16_t sign = vdupq_n_u8(flip);
  for (size_t x = 0; x < n; x += 16) {
    if (x + 16 > n) x = n - 16;
    uint8x16_t best = veorq_u8(vld1q_u8(plane + x), sign), label = vdupq_n_u8(0);
    for (size_t c = 1; c < classes; c++) {
      const uint8x16_t value = veorq_u8(vld1q_u8(plane + c * plane_stride + x), sign);
      label = vbslq_u8(vcgtq_u8(value, best), vdupq_n_u8((uint8_t)c), label);
      best = vmaxq_u8(best, value);
    }
    vst1q_u8(out + x, label);
  }
}

static inline float32x4_t lerp4(float32x4_t w0, float32x4_t a, float32x4_t w1, float32x4_t b) {
  return vaddq_f32(vmulq_f32(w0, a), vmulq_f32(w1, b));
}

/* Numbers of four floats in a window of eight, as the bytes that TBL takes. */
static inline uint8x16_t window_bytes(const int32_t *columns, int32_t base) {
  const uint32x4_t number = vreinterpretq_u32_s32(vsubq_s32(vld1q_s32(columns), vdupq_n_s32(base)));
  return vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), number, 0x04040404));
}

static inline float32x4_t pick4(uint8x16x2_t window, uint8x16_t bytes) {
  return vreinterpretq_f32_u8(vqtbl2q_u8(window, bytes));
}

typedef void(*lerp_kernel) SE_LERP_ARGMAX;

/* Sixteen pixels a turn, out of a window of eight columns of the logits that is interpolated along y and then spread by
 * table look-ups. Where sixteen pixels need more columns (factors below about 2.3), or the logits are narrower:
 * `one_by_one`. */
static inline __attribute__((always_inline)) void lerp_row(logits_type type, lerp_kernel one_by_one, const void *above,
                                                           const void *below, size_t plane_stride, const uint8_t *classes,
                                                           size_t count, size_t w, float wy, const int32_t *low,
                                                           const int32_t *high, const float *wx, size_t x0, size_t x1,
                                                           uint8_t *out) {
  const float32x4_t wy1 = vdupq_n_f32(wy), wy0 = vdupq_n_f32(1.0f - wy);
  for (size_t x = x0; x < x1; x += 16) {
    const int32_t base = w < 8 ? 0 : low[x] + 8 <= (int32_t)w ? low[x] : (int32_t)w - 8;
    if (w < 8 || high[x + 15] - base >= 8) {
      one_by_one(above, below, plane_stride, classes, count, w, wy, low, high, wx, x, x + 16 < x1 ? x + 16 : x1, out);
      continue;
    }
    uint8x16_t left[4], right[4];
    float32x4_t wx0[4], wx1[4], best[4];
    uint32x4_t label[4];
    for (size_t k = 0; k < 4; k++) {
      left[k] = window_bytes(low + x + 4 * k, base);
      right[k] = window_bytes(high + x + 4 * k, base);
      wx1[k] = vld1q_f32(wx + x + 4 * k);
      wx0[k] = vsubq_f32(vdupq_n_f32(1.0f), wx1[k]);
      best[k] = vdupq_n_f32(-INFINITY);
      label[k] = vdupq_n_u32(0);
    }
    for (size_t i = 0; i < count; i++) {
      const size_t c = classes[i], at = c * plane_stride + (size_t)base;
      const uint32x4_t name = vdupq_n_u32((uint32_t)c);
      const float32x4x2_t top = load8(type, above, at), bottom = load8(type, below, at);
      uint8x16x2_t window;
      window.val[0] = vreinterpretq_u8_f32(lerp4(wy0, top.val[0], wy1, bottom.val[0]));
      window.val[1] = vreinterpretq_u8_f32(lerp4(wy0, top.val[1], wy1, bottom.val[1]));
      for (size_t k = 0; k < 4; k++) {
        keep_higher(lerp4(wx0[k], pick4(window, left[k]), wx1[k], pick4(window, right[k])), name, best + k, label + k);
      }
    }
    store_labels(out + x, label);
  }
}

#define LOGITS(type, TYPE, argmax)                                                                                          \
  static void type##_u8_argmax__neon SE_ARGMAX {                                                                            \
    if (n < 16) {                                                                                                           \
      se_kernels__scalar.type##_u8_argmax(plane, plane_stride, classes, n, out);                                            \
    } else {                                                                                                                \
      argmax;                                                                                                               \
    }                                                                                                                       \
  }                                                                                                                         \
  static void type##_u8_lerp_argmax__neon SE_LERP_ARGMAX {                                                                  \
    lerp_row(TYPE, se_kernels__scalar.type##_u8_lerp_argmax, above, below, plane_stride, classes, count, w, wy, low, high,  \
             wx, x0, x1, out);                                                                                              \
  }
LOGITS(f32, F32, argmax_row(F32, plane, plane_stride, classes, n, out))
LOGITS(f16, F16, argmax_row(F16, plane, plane_stride, classes, n, out))
LOGITS(i8, I8, argmax_codes(plane, plane_stride, classes, n, 0x80, out))
LOGITS(u8, U8, argmax_codes(plane, plane_stride, classes, n, 0, out))

/* 16 bytes; add and keep are uint16, and the largest sum, 255 * 256 + 128, fits. */
static inline void mix16(const uint8_t *frame, uint16x8_t keep0, uint16x8_t keep1, const uint16_t *add, uint8_t *out) {
  const uint8x16_t bytes = vld1q_u8(frame);
  const uint16x8_t sum0 = vmlaq_u16(vld1q_u16(add), vmovl_u8(vget_low_u8(bytes)), keep0);
  const uint16x8_t sum1 = vmlaq_u16(vld1q_u16(add + 8), vmovl_u8(vget_high_u8(bytes)), keep1);
  vst1q_u8(out, vcombine_u8(vshrn_n_u16(sum0, 8), vshrn_n_u16(sum1, 8)));
}

static void u8_u32_sad48__neon(const uint8_t *a, const uint8_t *b, size_t n, uint32_t *sums) {
  size_t i = 0;
  for (; i + 48 <= n; i += 48) {
    uint16x8_t sum = vdupq_n_u16(0); /* at most 6 * 255 in each */
    for (size_t k = i; k < i + 48; k += 16) sum = vpadalq_u8(sum, vabdq_u8(vld1q_u8(a + k), vld1q_u8(b + k)));
    sums[i / 48] += vaddlvq_u16(sum);
  }
  se_kernels__scalar.u8_u32_sad48(a + i, b + i, n - i, sums + i / 48);
}

/* Labels come in runs: each is as long as a comparison of 16 says, four bits a pixel, and cut at n. */
static void u8_u32_count__neon(const uint8_t *labels, size_t n, uint32_t *counts) {
  for (size_t x = 0; x < n;) {
    const uint8_t label = labels[x];
    const uint8x16_t first = vdupq_n_u8(label);
    const size_t start = x;
    uint64_t differ;
    do {
      const uint8x16_t same = vceqq_u8(vld1q_u8(labels + x), first);
      differ = ~vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(same), 4)), 0);
      x += differ ? (size_t)__builtin_ctzll(differ) / 4 : 16;
    } while (!differ && x < n);
    if (x > n) x = n;
    counts[label] += (uint32_t)(x - start);
  }
}

/* Both leave their tail to the scalar kernel: an overlapping block would, in place, mix twice. */
static void u8_u16_mix__neon(const uint8_t *frame, unsigned keep, const uint16_t *add, size_t n, uint8_t *out) {
  const uint16x8_t all = vdupq_n_u16((uint16_t)keep);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) mix16(frame + i, all, all, add + i, out + i);
  se_kernels__scalar.u8_u16_mix(frame + i, keep, add + i, n - i, out + i);
}

static void u8_u16_mix_each__neon(const uint8_t *frame, const uint16_t *keep, const uint16_t *add, size_t n, uint8_t *out) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) mix16(frame + i, vld1q_u16(keep + i), vld1q_u16(keep + i + 8), add + i, out + i);
  se_kernels__scalar.u8_u16_mix_each(frame + i, keep + i, add + i, n - i, out + i);
}

SE_CONFIDENCE_KERNELS(neon)

#define SE_COLUMN(name, parameters) name##__neon,
const se_kernels se_kernels__neon = {"neon", SE_KERNELS(SE_COLUMN)};
