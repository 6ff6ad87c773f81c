/* AVX-512 F, BW and VL. Multiplies and adds stay apart (no FMA), and per element the order of operations is the scalar
 * file's. What is too short for these vectors, and what works on one pixel at a time, is left to AVX2: every such CPU has
 * it. */
#include "se_confidence.h"
#include "se_kernels.h"
#include "se_pixel.h"
#ifndef SE_EMULATED /* tests/runtime/csrc gives the intrinsics in plain C, to run this file anywhere */
#include <immintrin.h>
#endif
#include <math.h>
#include <string.h>

static inline int32_t weight_pair(const int16_t *weights) {
  int32_t pair;
  memcpy(&pair, weights, sizeof pair);
  return pair;
}

/* Adds w0*a + w1*b of 64 columns to sum, whose columns lie as unpacklo and unpackhi leave them; vsum's packs undo that. */
static inline void add_rows(__m512i sum[4], __m512i a, __m512i b, __m512i weights) {
  const __m512i zero = _mm512_setzero_si512();
  const __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
  sum[0] = _mm512_add_epi32(sum[0], _mm512_madd_epi16(_mm512_unpacklo_epi8(low, zero), weights));
  sum[1] = _mm512_add_epi32(sum[1], _mm512_madd_epi16(_mm512_unpackhi_epi8(low, zero), weights));
  sum[2] = _mm512_add_epi32(sum[2], _mm512_madd_epi16(_mm512_unpacklo_epi8(high, zero), weights));
  sum[3] = _mm512_add_epi32(sum[3], _mm512_madd_epi16(_mm512_unpackhi_epi8(high, zero), weights));
}

static void u8_i16_vsum__avx512(const uint8_t *rows, size_t stride, const int16_t *weights, size_t taps, size_t n,
                                int16_t *out) {
  if (n < 64) {
    se_kernels__avx2.u8_i16_vsum(rows, stride, weights, taps, n, out);
    return;
  }
  /* packs leaves per 128-bit lane k columns 16k .. 16k + 7 in `low` and the next eight in `high`. */
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  for (size_t i = 0; i < n; i += 64) {
    if (i + 64 > n) i = n - 64; /* the last block overlaps the one before: the same sums are stored again */
    __m512i sum[4];
    for (size_t k = 0; k < 4; k++) sum[k] = _mm512_set1_epi32(1 << (SE_V_SHIFT - 1));
    size_t t = 0;
    for (; t + 2 <= taps; t += 2) {
      const __m512i a = _mm512_loadu_si512(rows + t * stride + i), b = _mm512_loadu_si512(rows + (t + 1) * stride + i);
      add_rows(sum, a, b, _mm512_set1_epi32(weight_pair(weights + t)));
    }
    if (t < taps) {
      const __m512i a = _mm512_loadu_si512(rows + t * stride + i);
      add_rows(sum, a, _mm512_setzero_si512(), _mm512_set1_epi32(weights[t]));
    }
    for (size_t k = 0; k < 4; k++) sum[k] = _mm512_srai_epi32(sum[k], SE_V_SHIFT);
    const __m512i low = _mm512_packs_epi32(sum[0], sum[1]), high = _mm512_packs_epi32(sum[2], sum[3]);
    _mm512_storeu_si512(out + i, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(out + i + 32, _mm512_permutex2var_epi64(low, second, high));
  }
}

static void i16_u8_hsum3__avx512(const int16_t *row, const int32_t *first, const int16_t *weights, size_t pairs, size_t n,
                                 uint8_t *out) {
  se_kernels__avx2.i16_u8_hsum3(row, first, weights, pairs, n, out);
}

#define TO_BGR(name)                                                                                                        \
  static void name##_bgr__avx512 SE_TO_BGR {                                                                                \
    se_kernels__avx2.name##_bgr(colour, y, u, v, n, out);                                                                   \
  }
TO_BGR(u8_nv12)
TO_BGR(u8_yuyv)
TO_BGR(u8_i422)
TO_BGR(u8_i444)
TO_BGR(u16_nv12)
TO_BGR(u16_i422)
TO_BGR(u16_i444)

typedef enum { F32, F16, I8, U8 } logits_type; /* a constant wherever it is inlined */

/* Elements i .. i + 15 as float: exact. */
static inline __attribute__((always_inline)) __m512 load16(logits_type type, const void *plane, size_t i) {
  switch (type) {
  case F16:
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)((const uint16_t *)plane + i)));
  case I8:
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)((const int8_t *)plane + i))));
  case U8:
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)((const uint8_t *)plane + i))));
  default:
    return _mm512_loadu_ps((const float *)plane + i);
  }
}

/* Takes class c where its value is higher; NaN is never higher. */
static inline void keep_higher(__m512 value, __m512i c, __m512 *best, __m512i *label) {
  const __mmask16 higher = _mm512_cmp_ps_mask(value, *best, _CMP_GT_OQ);
  *best = _mm512_mask_mov_ps(*best, higher, value);
  *label = _mm512_mask_mov_epi32(*label, higher, c);
}

static inline void store_labels(uint8_t *out, __m512i labels) {
  _mm_storeu_si128((__m128i *)out, _mm512_cvtepi32_epi8(labels));
}

/* Needs n >= 16. */
static inline __attribute__((always_inline)) void argmax_row(logits_type type, const void *plane, size_t plane_stride,
                                                             size_t classes, size_t n, uint8_t *out) {
  for (size_t x = 0; x < n; x += 16) {
    if (x + 16 > n) x = n - 16;
    __m512 best = _mm512_set1_ps(-INFINITY);
    __m512i label = _mm512_setzero_si512();
    for (size_t c = 0; c < classes; c++) {
      keep_higher(load16(type, plane, c * plane_stride + x), _mm512_set1_epi32((int)c), &best, &label);
    }
    store_labels(out + x, label);
  }
}

/* Codes are compared as bytes, 64 at once; `flip` turns the order of unsigned ones into that of signed ones. */
static inline __attribute__((always_inline)) void argmax_codes(const uint8_t *plane, size_t plane_stride, size_t classes,
                                                               size_t n, uint8_t flip, uint8_t *out) {
  const __m512i sign = _mm512_set1_epi8((char)flip);
  for (size_t x = 0; x < n; x += 64) {
    if (x + 64 > n) x = n - 64;
    __m512i best = _mm512_xor_si512(_mm512_loadu_si512(plane + x), sign), label = _mm512_setzero_si512();
    for (size_t c = 1; c < classes; c++) {
      const __m512i value = _mm512_xor_si512(_mm512_loadu_si512(plane + c * plane_stride + x), sign);
      label = _mm512_mask_mov_epi8(label, _mm512_cmpgt_epi8_mask(value, best), _mm512_set1_epi8((char)c));
      best = _mm512_max_epi8(best, value);
    }
    _mm512_storeu_si512(out + x, label);
  }
}

static inline __m512 lerp16(__m512 w0, __m512 a, __m512 w1, __m512 b) {
  return _mm512_add_ps(_mm512_mul_ps(w0, a), _mm512_mul_ps(w1, b));
}

typedef void(*lerp_kernel) SE_LERP_ARGMAX;

/* Sixteen pixels a turn, out of a window of sixteen columns of the logits that is interpolated along y and then spread by
 * permutes. Where sixteen pixels need more columns (factors below about 1.1), or the logits are narrower, AVX2 does it. */
static inline __attribute__((always_inline)) void lerp_row(logits_type type, lerp_kernel narrow, const void *above,
                                                           const void *below, size_t plane_stride, const uint8_t *classes,
                                                           size_t count, size_t w, float wy, const int32_t *low,
                                                           const int32_t *high, const float *wx, size_t x0, size_t x1,
                                                           uint8_t *out) {
  const __m512 wy1 = _mm512_set1_ps(wy), wy0 = _mm512_set1_ps(1.0f - wy);
  for (size_t x = x0; x < x1; x += 16) {
    const int32_t base = w < 16 ? 0 : low[x] + 16 <= (int32_t)w ? low[x] : (int32_t)w - 16;
    if (w < 16 || high[x + 15] - base >= 16) {
      narrow(above, below, plane_stride, classes, count, w, wy, low, high, wx, x, x + 16 < x1 ? x + 16 : x1, out);
      continue;
    }
    const __m512i origin = _mm512_set1_epi32(base);
    const __m512i left = _mm512_sub_epi32(_mm512_loadu_si512(low + x), origin);
    const __m512i right = _mm512_sub_epi32(_mm512_loadu_si512(high + x), origin);
    const __m512 wx1 = _mm512_loadu_ps(wx + x), wx0 = _mm512_sub_ps(_mm512_set1_ps(1.0f), wx1);
    __m512 best = _mm512_set1_ps(-INFINITY);
    __m512i label = _mm512_setzero_si512();
    for (size_t k = 0; k < count; k++) {
      const size_t c = classes[k], at = c * plane_stride + (size_t)base;
      const __m512 window = lerp16(wy0, load16(type, above, at), wy1, load16(type, below, at));
      const __m512 value = lerp16(wx0, _mm512_permutexvar_ps(left, window), wx1, _mm512_permutexvar_ps(right, window));
      keep_higher(value, _mm512_set1_epi32((int)c), &best, &label);
    }
    store_labels(out + x, label);
  }
}

#define LOGITS(type, TYPE, smallest, argmax)                                                                                \
  static void type##_u8_argmax__avx512 SE_ARGMAX {                                                                          \
    if (n < smallest) {                                                                                                     \
      se_kernels__avx2.type##_u8_argmax(plane, plane_stride, classes, n, out);                                              \
    } else {                                                                                                                \
      argmax;                                                                                                               \
    }                                                                                                                       \
  }                                                                                                                         \
  static void type##_u8_lerp_argmax__avx512 SE_LERP_ARGMAX {                                                                \
    lerp_row(TYPE, se_kernels__avx2.type##_u8_lerp_argmax, above, below, plane_stride, classes, count, w, wy, low, high,    \
             wx, x0, x1, out);                                                                                              \
  }
LOGITS(f32, F32, 16, argmax_row(F32, plane, plane_stride, classes, n, out))
LOGITS(f16, F16, 16, argmax_row(F16, plane, plane_stride, classes, n, out))
LOGITS(i8, I8, 64, argmax_codes(plane, plane_stride, classes, n, 0, out))
LOGITS(u8, U8, 64, argmax_codes(plane, plane_stride, classes, n, 0x80, out))

/* 32 bytes; add and keep are uint16, and the largest sum, 255 * 256 + 128, fits. */
static inline void mix32(const uint8_t *frame, __m512i keep, const uint16_t *add, uint8_t *out) {
  const __m512i bytes = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)frame));
  const __m512i sum = _mm512_add_epi16(_mm512_mullo_epi16(bytes, keep), _mm512_loadu_si512(add));
  _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi16_epi8(_mm512_srli_epi16(sum, 8)));
}

/* 48 bytes are three vectors of 16, whatever the registers' width. */
static void u8_u32_sad48__avx512(const uint8_t *a, const uint8_t *b, size_t n, uint32_t *sums) {
  se_kernels__avx2.u8_u32_sad48(a, b, n, sums);
}

/* Runs of labels are short: wider vectors find their ends no sooner. */
static void u8_u32_count__avx512(const uint8_t *labels, size_t n, uint32_t *counts) {
  se_kernels__avx2.u8_u32_count(labels, n, counts);
}

/* Both leave their tail to the scalar kernel: an overlapping block would, in place, mix twice. */
static void u8_u16_mix__avx512(const uint8_t *frame, unsigned keep, const uint16_t *add, size_t n, uint8_t *out) {
  const __m512i all = _mm512_set1_epi16((short)keep);
  size_t i = 0;
  for (; i + 32 <= n; i += 32) mix32(frame + i, all, add + i, out + i);
  se_kernels__scalar.u8_u16_mix(frame + i, keep, add + i, n - i, out + i);
}

static void u8_u16_mix_each__avx512(const uint8_t *frame, const uint16_t *keep, const uint16_t *add, size_t n,
                                    uint8_t *out) {
  size_t i = 0;
  for (; i + 32 <= n; i += 32) mix32(frame + i, _mm512_loadu_si512(keep + i), add + i, out + i);
  se_kernels__scalar.u8_u16_mix_each(frame + i, keep + i, add + i, n - i, out + i);
}

SE_CONFIDENCE_KERNELS(avx512)

#define SE_COLUMN(name, parameters) name##__avx512,
const se_kernels se_kernels__avx512 = {"avx512", SE_KERNELS(SE_COLUMN)};
