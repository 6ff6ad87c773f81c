/* The arithmetic of one pixel, shared by every instruction set and by CUDA: where to sample, with what weights, and how to
 * round. Integers and single IEEE operations only, so that all of them return the same bits. */
#ifndef SE_PIXEL_H
#define SE_PIXEL_H

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define SE_HD __host__ __device__
#else
#define SE_HD
#endif

/* nvcc contracts a*b+c into FMA unless told otherwise; these never do. */
#ifdef __CUDA_ARCH__
#define SE_ADD(a, b) __fadd_rn(a, b)
#define SE_MUL(a, b) __fmul_rn(a, b)
#define SE_DIV(a, b) __fdiv_rn(a, b)
#else
#define SE_ADD(a, b) ((a) + (b))
#define SE_MUL(a, b) ((a) * (b))
#define SE_DIV(a, b) ((a) / (b))
#endif

/* A weight of 1 is 2^14: the most that a signed 16-bit factor of PMADDWD and SMLAL holds, 64 times finer than a grey level.
 */
#define SE_WEIGHT_BITS 14
/* Between its two passes resize keeps 7 fractional bits: 255 << 7 still fits in int16, and 2^-8 of error is invisible. */
#define SE_ROW_BITS 7
#define SE_V_SHIFT (SE_WEIGHT_BITS - SE_ROW_BITS)
#define SE_H_SHIFT (SE_WEIGHT_BITS + SE_ROW_BITS)

/* Where output pixel i of n_out lies among n_in input pixels (half-pixel centres): between `low` and `high` (equal at the
 * edges), `part` / `whole` of the way. `cell` numbers the gaps: 0 before the first input pixel, n_in after the last. */
typedef struct {
  int32_t cell, low, high, part, whole;
} se_position;

SE_HD static inline se_position se_locate(int32_t i, int32_t n_in, int32_t n_out) {
  se_position p;
  const int32_t centre = (2 * i + 1) * n_in - n_out; /* in units of 1 / (2 * n_out) input pixels; > -2 * n_out */
  p.whole = 2 * n_out;
  p.cell = centre < 0 ? 0 : centre / p.whole + 1;
  p.part = centre - (p.cell - 1) * p.whole;
  p.low = p.cell > 0 ? p.cell - 1 : 0;
  p.high = p.cell < n_in ? p.cell : n_in - 1;
  return p;
}

/* The same where the output shows only a part of the input: of its `of` units (pixels of the network's input) those from
 * `start`, `length` of them. se_locate is start = 0, length = of = 1, with the same numbers. */
typedef struct {
  int32_t start, length, of;
} se_view;

typedef struct {
  int32_t cell, low, high;
  int64_t part, whole;
} se_position64;

SE_HD static inline se_position64 se_locate_view(int32_t i, int32_t n_in, int32_t n_out, se_view view) {
  se_position64 p;
  const int64_t units = 2 * (int64_t)n_out * view.start + (2 * (int64_t)i + 1) * view.length; /* 1 / (2 * n_out) units */
  const int64_t centre = units * n_in - (int64_t)n_out * view.of; /* 1 / whole input pixels; > -whole */
  p.whole = 2 * (int64_t)n_out * view.of;
  p.cell = centre < 0 ? 0 : (int32_t)(centre / p.whole) + 1;
  p.part = centre - (p.cell - 1) * p.whole;
  p.low = p.cell > 0 ? p.cell - 1 : 0;
  p.high = p.cell < n_in ? p.cell : n_in - 1;
  return p;
}

SE_HD static inline float se_weight64_f32(int64_t part, int64_t whole) {
  return SE_DIV((float)part, (float)whole);
}

/* Weight of `high` in float arithmetic; `low` gets 1 - weight. */
SE_HD static inline float se_weight_f32(se_position p) {
  return SE_DIV((float)p.part, (float)p.whole);
}

/* Weight of `high` in fixed point. */
SE_HD static inline int32_t se_weight_fixed(se_position p) {
  return ((p.part << SE_WEIGHT_BITS) + p.whole / 2) / p.whole;
}

SE_HD static inline float se_lerp(float w0, float a, float w1, float b) {
  return SE_ADD(SE_MUL(w0, a), SE_MUL(w1, b));
}

/* Y, u, v to B, G, R in 16-bit fixed point: luma and chroma less their zero fill 16 bits (chroma has one bit more than luma,
 * for it goes from -1/2 to 1/2), products are rounded to SE_YUV_BITS of fraction, their sum to a grey level. Each of at most
 * three terms is wrong by half of 2^-6 and by its factor's rounding, less than 2^-6: before its last rounding a sum is
 * within 0.05 grey levels of exact. */
#define SE_YUV_BITS 6

/* Factors are gains times 2^14 (luma) and 2^13 (chroma); segedge.h has the matrices, convert.c makes these. */
typedef struct {
  int16_t black, grey;       /* codes of luma's and chroma's zero */
  int16_t y, bu, gu, gv, rv; /* factors */
  int16_t drop, mask;        /* bits below a sample in its word; its own bits */
  int16_t y_up, uv_up;       /* shifts up to 16 bits */
} se_yuv;

/* What PMULHRSW and SQRDMULH do. */
SE_HD static inline int32_t se_scale(int32_t value, int32_t factor) {
  return (value * factor + (1 << 14)) >> 15;
}

SE_HD static inline uint8_t se_yuv_level(int32_t sum) {
  const int32_t value = (sum + (1 << (SE_YUV_BITS - 1))) >> SE_YUV_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

SE_HD static inline void se_yuv_to_bgr(const se_yuv *c, int32_t y, int32_t u, int32_t v, uint8_t *bgr) {
  const int32_t luma = se_scale(((y >> c->drop & c->mask) - c->black) * (1 << c->y_up), c->y);
  u = ((u >> c->drop & c->mask) - c->grey) * (1 << c->uv_up);
  v = ((v >> c->drop & c->mask) - c->grey) * (1 << c->uv_up);
  bgr[0] = se_yuv_level(luma + se_scale(u, c->bu));
  bgr[1] = se_yuv_level(luma + se_scale(u, c->gu) + se_scale(v, c->gv));
  bgr[2] = se_yuv_level(luma + se_scale(v, c->rv));
}

/* The box of output pixel i covers n_in / n_out input pixels: `first` .. `first + count - 1`. */
typedef struct {
  int32_t first, count;
} se_box;

SE_HD static inline se_box se_area_box(int32_t i, int32_t n_in, int32_t n_out) {
  se_box box;
  box.first = i * n_in / n_out;
  box.count = ((i + 1) * n_in + n_out - 1) / n_out - box.first;
  return box;
}

/* The box's share left of input pixel k, 0 .. 2^14, rounded. */
SE_HD static inline int32_t se_area_share(int32_t k, int32_t i, int32_t n_in, int32_t n_out) {
  const int32_t left = k * n_out - i * n_in; /* the box is n_in units wide, an input pixel n_out */
  const int32_t inside = left < 0 ? 0 : left > n_in ? n_in : left;
  return ((inside << SE_WEIGHT_BITS) + n_in / 2) / n_in;
}

/* Weight of input pixel k in the box of output pixel i. As differences of rounded shares the weights sum to exactly 2^14. */
SE_HD static inline int32_t se_area_weight(int32_t k, int32_t i, int32_t n_in, int32_t n_out) {
  return se_area_share(k + 1, i, n_in, n_out) - se_area_share(k, i, n_in, n_out);
}

/* IEEE binary16 to float: exact. */
SE_HD static inline float se_f16_to_f32(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 0x3ffu;
  uint32_t bits = sign | (exponent + 112u) << 23 | fraction << 13; /* exponent bias 15 to 127 */
  float value;
  if (exponent == 31) bits = sign | 0x7f800000u | fraction << 13; /* infinity, NaN */
  if (exponent == 0) {                                            /* zero, subnormal: fraction * 2^-24 */
    value = SE_MUL((float)fraction, 5.9604644775390625e-08f);
    return sign ? -value : value;
  }
  memcpy(&value, &bits, sizeof value);
  return value;
}

SE_HD static inline uint8_t se_blend_u8(uint8_t frame, uint8_t colour, unsigned alpha) {
  return (uint8_t)((frame * (256u - alpha) + colour * alpha + 128u) >> 8);
}

#endif
