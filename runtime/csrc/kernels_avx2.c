/* AVX2 and F16C. Multiplies and adds stay apart (no FMA), and per element the order of operations is the scalar file's. */
#include "se_confidence.h"
#include "se_kernels.h"
#include "se_pixel.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>

static inline int32_t weight_pair(const int16_t *weights) {
  int32_t pair;
  memcpy(&pair, weights, sizeof pair);
  return pair;
}

/* Adds w0*a + w1*b of 32 columns to sum, whose columns lie as unpacklo and unpackhi leave them; vsum's packs undo that. */
static inline void add_rows(__m256i sum[4], __m256i a, __m256i b, __m256i weights) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
  sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), weights));
  sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), weights));
  sum[2] = _mm256_add_epi32(sum[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), weights));
  sum[3] = _mm256_add_epi32(sum[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), weights));
}

static void u8_i16_vsum__avx2(const uint8_t *rows, size_t stride, const int16_t *weights, size_t taps, size_t n,
                              int16_t *out) {
  if (n < 32) {
    se_kernels__scalar.u8_i16_vsum(rows, stride, weights, taps, n, out);
    return;
  }
  for (size_t i = 0; i < n; i += 32) {
    if (i + 32 > n) i = n - 32; /* the last block overlaps the one before: the same sums are stored again */
    __m256i sum[4];
    for (size_t k = 0; k < 4; k++) sum[k] = _mm256_set1_epi32(1 << (SE_V_SHIFT - 1));
    size_t t = 0;
    for (; t + 2 <= taps; t += 2) {
      const __m256i a = _mm256_loadu_si256((const __m256i *)(rows + t * stride + i));
      const __m256i b = _mm256_loadu_si256((const __m256i *)(rows + (t + 1) * stride + i));
      add_rows(sum, a, b, _mm256_set1_epi32(weight_pair(weights + t)));
    }
    if (t < taps) {
      const __m256i a = _mm256_loadu_si256((const __m256i *)(rows + t * stride + i));
      add_rows(sum, a, _mm256_setzero_si256(), _mm256_set1_epi32(weights[t]));
    }
    for (size_t k = 0; k < 4; k++) sum[k] = _mm256_srai_epi32(sum[k], SE_V_SHIFT);
    const __m256i low = _mm256_packs_epi32(sum[0], sum[1]), high = _mm256_packs_epi32(sum[2], sum[3]);
    _mm256_storeu_si256((__m256i *)(out + i), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(out + i + 16), _mm256_permute2x128_si256(low, high, 0x31));
  }
}

/* One output pixel: (b, g, r, 0) as int32. */
static inline __m128i hsum_pixel(const int16_t *pixel, const int16_t *weights, size_t pairs) {
  /* b0 g0 r0 b1 g1 r1 . . -> b0 b1 g0 g1 r0 r1 0 0: what PMADDWD adds lies side by side */
  const __m128i side_by_side = _mm_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1);
  __m128i sum = _mm_set1_epi32(1 << (SE_H_SHIFT - 1));
  for (size_t t = 0; t < pairs; t++) {
    const __m128i two = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(pixel + 6 * t)), side_by_side);
    sum = _mm_add_epi32(sum, _mm_madd_epi16(two, _mm_set1_epi32(weight_pair(weights + 2 * t))));
  }
  return _mm_srai_epi32(sum, SE_H_SHIFT);
}

/* Inlined with a constant number of pairs for the usual ratios. */
static inline __attribute__((always_inline)) void hsum_row(const int16_t *row, const int32_t *first, const int16_t *weights,
                                                           size_t pairs, size_t n, uint8_t *out) {
  const __m128i drop_fourth = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  const size_t taps = 2 * pairs;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    __m128i sum[4];
    for (size_t k = 0; k < 4; k++) {
      sum[k] = hsum_pixel(row + 3 * (size_t)first[i + k], weights + taps * (i + k), pairs);
    }
    const __m128i words = _mm_packus_epi16(_mm_packs_epi32(sum[0], sum[1]), _mm_packs_epi32(sum[2], sum[3]));
    const __m128i bytes = _mm_shuffle_epi8(words, drop_fourth);
    const int32_t last = _mm_extract_epi32(bytes, 2);
    _mm_storel_epi64((__m128i *)(out + 3 * i), bytes);
    memcpy(out + 3 * i + 8, &last, 4);
  }
  se_kernels__scalar.i16_u8_hsum3(row, first + i, weights + taps * i, pairs, n - i, out + 3 * i);
}

static void i16_u8_hsum3__avx2(const int16_t *row, const int32_t *first, const int16_t *weights, size_t pairs, size_t n,
                               uint8_t *out) {
  switch (pairs) {
  case 1:
    hsum_row(row, first, weights, 1, n, out);
    break;
  case 2:
    hsum_row(row, first, weights, 2, n, out);
    break;
  default:
    hsum_row(row, first, weights, pairs, n, out);
  }
}

typedef enum { NV12, YUYV, I422, I444 } yuv_layout; /* a constant wherever it is inlined */

typedef struct {
  __m256i y, u, v;
} yuv16;

/* Words of eight bytes or words, each twice. */
static inline __m256i twice8(__m128i bytes) {
  return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(bytes, bytes));
}

static inline __m256i twice16(__m128i words) {
  return _mm256_set_m128i(_mm_unpackhi_epi16(words, words), _mm_unpacklo_epi16(words, words));
}

/* Samples of pixels i .. i + 15 as words, u and v one for each; i is even. */
static inline __attribute__((always_inline)) yuv16 load_yuv8(yuv_layout layout, const uint8_t *y, const uint8_t *u,
                                                             const uint8_t *v, size_t i) {
  yuv16 s;
  if (layout == YUYV) {
    const __m256i all = _mm256_loadu_si256((const __m256i *)(y + 2 * i));
    const __m256i each_u =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(1, -1, 1, -1, 5, -1, 5, -1, 9, -1, 9, -1, 13, -1, 13, -1));
    const __m256i each_v =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(3, -1, 3, -1, 7, -1, 7, -1, 11, -1, 11, -1, 15, -1, 15, -1));
    s.y = _mm256_and_si256(all, _mm256_set1_epi16(0xff));
    s.u = _mm256_shuffle_epi8(all, each_u);
    s.v = _mm256_shuffle_epi8(all, each_v);
    return s;
  }
  s.y = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(y + i)));
  if (layout == NV12) {
    const __m256i pairs = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(u + i))); /* u v 0 0 */
    s.u = _mm256_shuffle_epi8(
        pairs, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1)));
    s.v = _mm256_shuffle_epi8(
        pairs, _mm256_broadcastsi128_si256(_mm_setr_epi8(1, -1, 1, -1, 5, -1, 5, -1, 9, -1, 9, -1, 13, -1, 13, -1)));
  } else if (layout == I422) {
    s.u = twice8(_mm_loadl_epi64((const __m128i *)(u + i / 2)));
    s.v = twice8(_mm_loadl_epi64((const __m128i *)(v + i / 2)));
  } else {
    s.u = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(u + i)));
    s.v = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(v + i)));
  }
  return s;
}

static inline __attribute__((always_inline)) yuv16 load_yuv16(yuv_layout layout, const uint16_t *y, const uint16_t *u,
                                                              const uint16_t *v, size_t i) {
  yuv16 s;
  s.y = _mm256_loadu_si256((const __m256i *)(y + i));
  if (layout == NV12) {
    const __m256i pairs = _mm256_loadu_si256((const __m256i *)(u + i));
    s.u = _mm256_or_si256(_mm256_and_si256(pairs, _mm256_set1_epi32(0xffff)), _mm256_slli_epi32(pairs, 16));
    s.v = _mm256_or_si256(_mm256_srli_epi32(pairs, 16), _mm256_andnot_si256(_mm256_set1_epi32(0xffff), pairs));
  } else if (layout == I422) {
    s.u = twice16(_mm_loadu_si128((const __m128i *)(u + i / 2)));
    s.v = twice16(_mm_loadu_si128((const __m128i *)(v + i / 2)));
  } else {
    s.u = _mm256_loadu_si256((const __m256i *)(u + i));
    s.v = _mm256_loadu_si256((const __m256i *)(v + i));
  }
  return s;
}

static inline __m256i all16(int16_t value) {
  return _mm256_set1_epi16(value);
}

static inline __m256i sample16(const se_yuv *c, __m256i words) {
  return _mm256_and_si256(_mm256_srl_epi16(words, _mm_cvtsi32_si128(c->drop)), all16(c->mask));
}

static inline __m256i level16(__m256i sum) {
  return _mm256_srai_epi16(_mm256_adds_epi16(sum, all16(1 << (SE_YUV_BITS - 1))), SE_YUV_BITS);
}

/* Sixteen pixels to 48 bytes; `bits` is a constant. Sums that saturate lie far above 255. */
static inline __attribute__((always_inline)) void yuv_to_bgr16(const se_yuv *c, int bits, yuv16 s, uint8_t *out) {
  __m256i y = _mm256_sub_epi16(s.y, all16(c->black)), u = _mm256_sub_epi16(s.u, all16(c->grey)),
          v = _mm256_sub_epi16(s.v, all16(c->grey));
  if (bits == 8) {
    y = _mm256_slli_epi16(y, 7), u = _mm256_slli_epi16(u, 8), v = _mm256_slli_epi16(v, 8);
  } else {
    const __m128i y_up = _mm_cvtsi32_si128(c->y_up), uv_up = _mm_cvtsi32_si128(c->uv_up);
    y = _mm256_sll_epi16(y, y_up), u = _mm256_sll_epi16(u, uv_up), v = _mm256_sll_epi16(v, uv_up);
  }
  const __m256i luma = _mm256_mulhrs_epi16(y, all16(c->y));
  const __m256i chroma = _mm256_add_epi16(_mm256_mulhrs_epi16(u, all16(c->gu)), _mm256_mulhrs_epi16(v, all16(c->gv)));
  const __m256i b = level16(_mm256_adds_epi16(luma, _mm256_mulhrs_epi16(u, all16(c->bu))));
  const __m256i g = level16(_mm256_adds_epi16(luma, chroma));
  const __m256i r = level16(_mm256_adds_epi16(luma, _mm256_mulhrs_epi16(v, all16(c->rv))));
  /* Per half: b0 .. b7 g0 .. g7 and r0 .. r7 to 16 bytes and 8. */
  const __m256i bg = _mm256_packus_epi16(b, g), rr = _mm256_packus_epi16(r, r);
  const __m256i bg_low = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, -1, 1, 9, -1, 2, 10, -1, 3, 11, -1, 4, 12, -1, 5));
  const __m256i r_low =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1));
  const __m256i bg_high =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(13, -1, 6, 14, -1, 7, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m256i r_high =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m256i low = _mm256_or_si256(_mm256_shuffle_epi8(bg, bg_low), _mm256_shuffle_epi8(rr, r_low));
  const __m256i high = _mm256_or_si256(_mm256_shuffle_epi8(bg, bg_high), _mm256_shuffle_epi8(rr, r_high));
  _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(low));
  _mm_storel_epi64((__m128i *)(out + 16), _mm256_castsi256_si128(high));
  _mm_storeu_si128((__m128i *)(out + 24), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64((__m128i *)(out + 40), _mm256_extracti128_si256(high, 1));
}

/* y_step, uv_step: samples of a plane for a pixel, and for two. */
#define TO_BGR(bits, name, layout, y_step, uv_step)                                                                         \
  static void u##bits##_##name##_bgr__avx2 SE_TO_BGR {                                                                      \
    const uint##bits##_t *luma = y, *first = u, *second = v;                                                                \
    size_t i = 0;                                                                                                           \
    for (; i + 16 <= n; i += 16) {                                                                                          \
      yuv16 s = load_yuv##bits(layout, luma, first, second, i);                                                             \
      if (bits > 8) {                                                                                                       \
        s.y = sample16(colour, s.y), s.u = sample16(colour, s.u), s.v = sample16(colour, s.v);                              \
      }                                                                                                                     \
      yuv_to_bgr16(colour, bits, s, out + 3 * i);                                                                           \
    }                                                                                                                       \
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

/* Takes class c where its value is higher. MAX returns its second operand if either is NaN: best never becomes NaN. */
static inline void keep_higher(__m256 value, __m256i c, __m256 *best, __m256i *label) {
  const __m256 higher = _mm256_cmp_ps(value, *best, _CMP_GT_OQ);
  *best = _mm256_max_ps(value, *best);
  *label = _mm256_blendv_epi8(*label, c, _mm256_castps_si256(higher));
}

/* 2 x 8 int32 labels to 16 bytes. */
static inline void store_labels(uint8_t *out, __m256i first, __m256i second) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
  const __m128i low = _mm256_castsi256_si128(words), high = _mm256_extracti128_si256(words, 1);
  _mm_storeu_si128((__m128i *)out, _mm_packus_epi16(low, high));
}

typedef enum { F32, F16, I8, U8 } logits_type; /* a constant wherever it is inlined */

/* Elements i .. i + 7 as float: exact. */
static inline __attribute__((always_inline)) __m256 load8(logits_type type, const void *plane, size_t i) {
  switch (type) {
  case F16:
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)plane + i)));
  case I8:
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)((const int8_t *)plane + i))));
  case U8:
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)((const uint8_t *)plane + i))));
  default:
    return _mm256_loadu_ps((const float *)plane + i);
  }
}

/* Needs n >= 16. */
static inline __attribute__((always_inline)) void argmax_row(logits_type type, const void *plane, size_t plane_stride,
                                                             size_t classes, size_t n, uint8_t *out) {
  for (size_t x = 0; x < n; x += 16) {
    if (x + 16 > n) x = n - 16;
    __m256 best0 = _mm256_set1_ps(-INFINITY), best1 = best0;
    __m256i label0 = _mm256_setzero_si256(), label1 = label0;
    for (size_t c = 0; c < classes; c++) {
      const size_t at = c * plane_stride + x;
      const __m256i name = _mm256_set1_epi32((int)c);
      keep_higher(load8(type, plane, at), name, &best0, &label0);
      keep_higher(load8(type, plane, at + 8), name, &best1, &label1);
    }
    store_labels(out + x, label0, label1);
  }
}

/* Codes are compared as bytes, 32 at once; `flip` turns the order of unsigned ones into that of signed ones. */
static inline __attribute__((always_inline)) void argmax_codes(const uint8_t *plane, size_t plane_stride, size_t classes,
                                                               size_t n, uint8_t flip, uint8_t *out) {
  const __m256i sign = _mm256_set1_epi8((char)flip);
  for (size_t x = 0; x < n; x += 32) {
    if (x + 32 > n) x = n - 32;
    __m256i best = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(plane + x)), sign);
    __m256i label = _mm256_setzero_si256();
    for (size_t c = 1; c < classes; c++) {
      const __m256i code = _mm256_loadu_si256((const __m256i *)(plane + c * plane_stride + x));
      const __m256i value = _mm256_xor_si256(code, sign);
      label = _mm256_blendv_epi8(label, _mm256_set1_epi8((char)c), _mm256_cmpgt_epi8(value, best));
      best = _mm256_max_epi8(best, value);
    }
    _mm256_storeu_si256((__m256i *)(out + x), label);
  }
}

/* Eight pixels' weights and columns. */
typedef struct {
  __m256 w0, w1;
  __m256i low, high;
} columns8;

static inline columns8 load_columns(const int32_t *low, const int32_t *high, const float *wx, size_t x, int32_t base) {
  const __m256i origin = _mm256_set1_epi32(base);
  columns8 columns;
  columns.w1 = _mm256_loadu_ps(wx + x);
  columns.w0 = _mm256_sub_ps(_mm256_set1_ps(1.0f), columns.w1);
  columns.low = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(low + x)), origin);
  columns.high = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(high + x)), origin);
  return columns;
}

static inline __m256 lerp8(__m256 w0, __m256 a, __m256 w1, __m256 b) {
  return _mm256_add_ps(_mm256_mul_ps(w0, a), _mm256_mul_ps(w1, b));
}

/* Interpolates along x inside a window of eight columns that were interpolated along y. */
static inline __m256 lerp_window(__m256 window, const columns8 *columns) {
  return lerp8(columns->w0, _mm256_permutevar8x32_ps(window, columns->low), columns->w1,
               _mm256_permutevar8x32_ps(window, columns->high));
}

static inline __m256 lerp_gather(const float *top, const float *bottom, __m256 wy0, __m256 wy1, const columns8 *columns) {
  const __m256 left =
      lerp8(wy0, _mm256_i32gather_ps(top, columns->low, 4), wy1, _mm256_i32gather_ps(bottom, columns->low, 4));
  const __m256 right =
      lerp8(wy0, _mm256_i32gather_ps(top, columns->high, 4), wy1, _mm256_i32gather_ps(bottom, columns->high, 4));
  return lerp8(columns->w0, left, columns->w1, right);
}

typedef void(*lerp_kernel) SE_LERP_ARGMAX;

/* Sixteen pixels a turn. When upsampling they span few columns of the logits: one window of eight is loaded per class and
 * spread by permutes. Where sixteen pixels need more than eight columns (factors below about 2.3), or the logits are
 * narrower than a window, floats are gathered; the other types, which have no gather, are left to `one_by_one`. */
static inline __attribute__((always_inline)) void lerp_row(logits_type type, lerp_kernel one_by_one, const void *above,
                                                           const void *below, size_t plane_stride, const uint8_t *classes,
                                                           size_t count, size_t w, float wy, const int32_t *low,
                                                           const int32_t *high, const float *wx, size_t x0, size_t x1,
                                                           uint8_t *out) {
  const __m256 wy1 = _mm256_set1_ps(wy), wy0 = _mm256_set1_ps(1.0f - wy);
  for (size_t x = x0; x < x1; x += 16) {
    const int32_t base = w < 8 ? 0 : low[x] + 8 <= (int32_t)w ? low[x] : (int32_t)w - 8;
    const bool window = w >= 8 && high[x + 15] - base < 8;
    if (!window && type != F32) {
      one_by_one(above, below, plane_stride, classes, count, w, wy, low, high, wx, x, x + 16 < x1 ? x + 16 : x1, out);
      continue;
    }
    const columns8 columns0 = load_columns(low, high, wx, x, base), columns1 = load_columns(low, high, wx, x + 8, base);
    __m256 best0 = _mm256_set1_ps(-INFINITY), best1 = best0;
    __m256i label0 = _mm256_setzero_si256(), label1 = label0;
    for (size_t k = 0; k < count; k++) {
      const size_t c = classes[k], at = c * plane_stride + (size_t)base;
      const __m256i name = _mm256_set1_epi32((int)c);
      __m256 value0, value1;
      if (window) {
        const __m256 columns = lerp8(wy0, load8(type, above, at), wy1, load8(type, below, at));
        value0 = lerp_window(columns, &columns0);
        value1 = lerp_window(columns, &columns1);
      } else {
        const float *top = (const float *)above + at, *bottom = (const float *)below + at;
        value0 = lerp_gather(top, bottom, wy0, wy1, &columns0);
        value1 = lerp_gather(top, bottom, wy0, wy1, &columns1);
      }
      keep_higher(value0, name, &best0, &label0);
      keep_higher(value1, name, &best1, &label1);
    }
    store_labels(out + x, label0, label1);
  }
}

#define LOGITS(type, TYPE, smallest, argmax)                                                                                \
  static void type##_u8_argmax__avx2 SE_ARGMAX {                                                                            \
    if (n < smallest) {                                                                                                     \
      se_kernels__scalar.type##_u8_argmax(plane, plane_stride, classes, n, out);                                            \
    } else {                                                                                                                \
      argmax;                                                                                                               \
    }                                                                                                                       \
  }                                                                                                                         \
  static void type##_u8_lerp_argmax__avx2 SE_LERP_ARGMAX {                                                                  \
    lerp_row(TYPE, se_kernels__scalar.type##_u8_lerp_argmax, above, below, plane_stride, classes, count, w, wy, low, high,  \
             wx, x0, x1, out);                                                                                              \
  }
LOGITS(f32, F32, 16, argmax_row(F32, plane, plane_stride, classes, n, out))
LOGITS(f16, F16, 16, argmax_row(F16, plane, plane_stride, classes, n, out))
LOGITS(i8, I8, 32, argmax_codes(plane, plane_stride, classes, n, 0, out))
LOGITS(u8, U8, 32, argmax_codes(plane, plane_stride, classes, n, 0x80, out))

/* 32 bytes; add and keep are uint16, and the largest sum, 255 * 256 + 128, fits. packus takes lanes in turn: so does this.
 */
static inline void mix32(const uint8_t *frame, __m256i keep0, __m256i keep1, const uint16_t *add, uint8_t *out) {
  const __m256i bytes0 = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)frame));
  const __m256i bytes1 = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(frame + 16)));
  const __m256i add0 = _mm256_loadu_si256((const __m256i *)add), add1 = _mm256_loadu_si256((const __m256i *)(add + 16));
  const __m256i sum0 = _mm256_srli_epi16(_mm256_add_epi16(_mm256_mullo_epi16(bytes0, keep0), add0), 8);
  const __m256i sum1 = _mm256_srli_epi16(_mm256_add_epi16(_mm256_mullo_epi16(bytes1, keep1), add1), 8);
  _mm256_storeu_si256((__m256i *)out, _mm256_permute4x64_epi64(_mm256_packus_epi16(sum0, sum1), 0xd8));
}

static void u8_u32_sad48__avx2(const uint8_t *a, const uint8_t *b, size_t n, uint32_t *sums) {
  size_t i = 0;
  for (; i + 48 <= n; i += 48) {
    __m128i sum = _mm_setzero_si128();
    for (size_t k = i; k < i + 48; k += 16) {
      const __m128i x = _mm_loadu_si128((const __m128i *)(a + k)), y = _mm_loadu_si128((const __m128i *)(b + k));
      sum = _mm_add_epi32(sum, _mm_sad_epu8(x, y));
    }
    sums[i / 48] += (uint32_t)(_mm_cvtsi128_si32(sum) + _mm_extract_epi32(sum, 2));
  }
  se_kernels__scalar.u8_u32_sad48(a + i, b + i, n - i, sums + i / 48);
}

/* Labels come in runs: each is as long as a comparison of 16 says, and cut at n. */
static void u8_u32_count__avx2(const uint8_t *labels, size_t n, uint32_t *counts) {
  for (size_t x = 0; x < n;) {
    const uint8_t label = labels[x];
    const __m128i first = _mm_set1_epi8((char)label);
    const size_t start = x;
    unsigned differ;
    do {
      const __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(labels + x)), first);
      differ = (unsigned)_mm_movemask_epi8(same) ^ 0xffff;
      x += differ ? (size_t)__builtin_ctz(differ) : 16;
    } while (!differ && x < n);
    if (x > n) x = n;
    counts[label] += (uint32_t)(x - start);
  }
}

/* Both leave their tail to the scalar kernel: an overlapping block would, in place, mix twice. */
static void u8_u16_mix__avx2(const uint8_t *frame, unsigned keep, const uint16_t *add, size_t n, uint8_t *out) {
  const __m256i all = _mm256_set1_epi16((short)keep);
  size_t i = 0;
  for (; i + 32 <= n; i += 32) mix32(frame + i, all, all, add + i, out + i);
  se_kernels__scalar.u8_u16_mix(frame + i, keep, add + i, n - i, out + i);
}

static void u8_u16_mix_each__avx2(const uint8_t *frame, const uint16_t *keep, const uint16_t *add, size_t n, uint8_t *out) {
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i keep0 = _mm256_loadu_si256((const __m256i *)(keep + i));
    const __m256i keep1 = _mm256_loadu_si256((const __m256i *)(keep + i + 16));
    mix32(frame + i, keep0, keep1, add + i, out + i);
  }
  se_kernels__scalar.u8_u16_mix_each(frame + i, keep + i, add + i, n - i, out + i);
}

SE_CONFIDENCE_KERNELS(avx2)

#define SE_COLUMN(name, parameters) name##__avx2,
const se_kernels se_kernels__avx2 = {"avx2", SE_KERNELS(SE_COLUMN)};
