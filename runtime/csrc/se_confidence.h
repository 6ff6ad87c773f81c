/* Private: how sure a block of pixels is: one body, compiled in every instruction set's file with that set's flags. Fixed
 * loops over a block's pixels become its vectors, and since each element sees the same single IEEE operations in the same
 * order, all of them return the same bytes. */
#ifndef SE_CONFIDENCE_H
#define SE_CONFIDENCE_H

#include "se_kernels.h"
#include <string.h>

/* exp(x) for -87 <= x <= 0: 2^n * exp(r) with n = round(x / ln 2), |r| <= ln 2 / 2, and the first terms of exp's series,
 * which leave r^6 / 720 < 3e-6. */
static inline float se_exp_f32(float x) {
  const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, which stands in the lowest bits then */
  const float shifted = x * 1.44269504f + shift;
  const float r = x - (shifted - shift) * 0.69314718f;
  float sum = 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + (127u << 23);
  float power;
  memcpy(&power, &bits, sizeof power);
  return sum * power;
}

/* Below -87 exp is under 2e-38 and beside 1 nothing, and 2^n would be no normal number. */
static inline float se_exponent_f32(float scale, float value, float best) {
  const float x = scale * (value - best);
  return x > -87.0f ? x : -87.0f;
}

/* se_kernels.h: SE_CONFIDENCE. The limit of an exponent is a loop of its own: gcc would make a branch of it elsewhere. */
static inline __attribute__((always_inline)) void se_confidence_block(bool margin, const float *above, const float *below,
                                                                      size_t classes, float wy, float scale, uint8_t *out) {
  const float wy0 = 1.0f - wy;
  float best[SE_BLOCK], second[SE_BLOCK], sum[SE_BLOCK], exponent[SE_BLOCK];
  for (size_t x = 0; x < SE_BLOCK; x++) best[x] = second[x] = -4e30f; /* below every value */
  for (size_t c = 0; c < classes; c++) {
    const float *top = above + c * SE_BLOCK, *bottom = below + c * SE_BLOCK;
    for (size_t x = 0; x < SE_BLOCK; x++) {
      const float value = wy0 * top[x] + wy * bottom[x];
      const float lower = value < best[x] ? value : best[x];
      second[x] = lower > second[x] ? lower : second[x];
      best[x] = value > best[x] ? value : best[x];
    }
  }
  for (size_t x = 0; x < SE_BLOCK; x++) sum[x] = 0.0f;
  for (size_t c = 0; c < classes; c++) {
    const float *top = above + c * SE_BLOCK, *bottom = below + c * SE_BLOCK;
    for (size_t x = 0; x < SE_BLOCK; x++) exponent[x] = se_exponent_f32(scale, wy0 * top[x] + wy * bottom[x], best[x]);
    for (size_t x = 0; x < SE_BLOCK; x++) sum[x] += se_exp_f32(exponent[x]);
  }
  for (size_t x = 0; x < SE_BLOCK; x++) exponent[x] = se_exponent_f32(scale, second[x], best[x]);
  for (size_t x = 0; x < SE_BLOCK; x++) {
    const float share = margin ? 1.0f - se_exp_f32(exponent[x]) : 1.0f;
    out[x] = (uint8_t)(int32_t)(255.0f * (share / sum[x]) + 0.5f);
  }
}

#define SE_CONFIDENCE_KERNELS(isa)                                                                                          \
  static void f32_u8_probability__##isa SE_CONFIDENCE {                                                                     \
    se_confidence_block(false, above, below, classes, wy, scale, out);                                                      \
  }                                                                                                                         \
  static void f32_u8_margin__##isa SE_CONFIDENCE {                                                                          \
    se_confidence_block(true, above, below, classes, wy, scale, out);                                                       \
  }

#endif
