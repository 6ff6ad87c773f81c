/* Private: the microkernels behind segedge.h. One table row each; a column is an instruction set and one file,
 * kernels_<isa>.c, that ends in its se_kernels__<isa>. The drivers (resize.c, paint.c, runs.c) are the same for all. */
#ifndef SE_KERNELS_H
#define SE_KERNELS_H

#include "se_pixel.h"
#include "segedge.h"
#include <stdbool.h>

// clang-format off
/* X(name, parameters). Buffers of one call do not overlap unless said so.
 *
 * u8_i16_vsum: out[i] = (sum over t of weights[t] * rows[t*stride + i] + 64) >> 7; weights >= 0 of sum 2^14, taps >= 1.
 * i16_u8_hsum3: out[3*i + c] = (sum over t < 2*pairs of weights[2*pairs*i + t] * row[3*(first[i] + t) + c] + 2^20) >> 21;
 *   row is readable SE_ROW_PAD elements past the last tap.
 * u8_nv12_bgr, u8_yuyv_bgr, u8_i422_bgr, u8_i444_bgr: n pixels to BGR (se_yuv_to_bgr), 3*n bytes. nv12: u = u v u v ..., one
 *   u and v for two pixels; yuyv: y = y u y v ..., n even; i422: u and v for two pixels each; i444: for each. With odd n the
 *   last u and v serve one pixel. What is not used is NULL. u16_...: the same of 16-bit words.
 * f32_u8_argmax (f16, i8, u8 likewise): out[x] = class with the highest plane[c*plane_stride + x]; ties to the lowest,
 *   NaN = minus infinity.
 * f32_u8_lerp_argmax (f16, i8, u8 likewise, their values taken as float): out[x], x0 <= x < x1, = the same of the
 *   interpolated value (segedge.h) over `count` classes in ascending order; 0 if none is above minus infinity. `above` and
 *   `below` are rows of class 0, w long; columns low[x], high[x], weights wx[x];
 *   writes up to SE_LABEL_PAD elements past x1 and reads the tables as far.
 * f32_u8_probability, f32_u8_margin: the measure of segedge.h for SE_BLOCK pixels; above and below are rows that were
 *   interpolated along x already, a class every SE_BLOCK elements; wy is the weight of `below`.
 * u8_u32_count: counts[labels[i]] += 1; reads up to SE_LABEL_PAD elements past n.
 * u8_u32_sad48: sums[k] += sum of |a[i] - b[i]| over 48*k <= i < 48*(k + 1), i < n.
 * u8_u16_mix: out[i] = (frame[i]*keep + add[i]) >> 8, where the sum is below 2^16; out may be frame.
 * u8_u16_mix_each: the same with keep[i]. */
#define SE_TO_BGR (const se_yuv *colour, const void *y, const void *u, const void *v, size_t n, uint8_t *out)
#define SE_ARGMAX (const void *plane, size_t plane_stride, size_t classes, size_t n, uint8_t *out)
#define SE_LERP_ARGMAX (const void *above, const void *below, size_t plane_stride, const uint8_t *classes, size_t count, size_t w, float wy, \
                        const int32_t *low, const int32_t *high, const float *wx, size_t x0, size_t x1, uint8_t *out)
#define SE_CONFIDENCE (const float *above, const float *below, size_t classes, float wy, float scale, uint8_t *out)
#define SE_KERNELS(X) \
  X(u8_i16_vsum, (const uint8_t *rows, size_t stride, const int16_t *weights, size_t taps, size_t n, int16_t *out)) \
  X(i16_u8_hsum3, (const int16_t *row, const int32_t *first, const int16_t *weights, size_t pairs, size_t n, uint8_t *out)) \
  X(u8_nv12_bgr, SE_TO_BGR) \
  X(u8_yuyv_bgr, SE_TO_BGR) \
  X(u8_i422_bgr, SE_TO_BGR) \
  X(u8_i444_bgr, SE_TO_BGR) \
  X(u16_nv12_bgr, SE_TO_BGR) \
  X(u16_i422_bgr, SE_TO_BGR) \
  X(u16_i444_bgr, SE_TO_BGR) \
  X(f32_u8_argmax, SE_ARGMAX) \
  X(f16_u8_argmax, SE_ARGMAX) \
  X(i8_u8_argmax, SE_ARGMAX) \
  X(u8_u8_argmax, SE_ARGMAX) \
  X(f32_u8_lerp_argmax, SE_LERP_ARGMAX) \
  X(f16_u8_lerp_argmax, SE_LERP_ARGMAX) \
  X(i8_u8_lerp_argmax, SE_LERP_ARGMAX) \
  X(u8_u8_lerp_argmax, SE_LERP_ARGMAX) \
  X(f32_u8_probability, SE_CONFIDENCE) \
  X(f32_u8_margin, SE_CONFIDENCE) \
  X(u8_u32_count, (const uint8_t *labels, size_t n, uint32_t *counts)) \
  X(u8_u32_sad48, (const uint8_t *a, const uint8_t *b, size_t n, uint32_t *sums)) \
  X(u8_u16_mix, (const uint8_t *frame, unsigned keep, const uint16_t *add, size_t n, uint8_t *out)) \
  X(u8_u16_mix_each, (const uint8_t *frame, const uint16_t *keep, const uint16_t *add, size_t n, uint8_t *out))

/* X(name, whether this CPU runs it), slowest first. */
#if defined(__x86_64__)
#define SE_RUNS_AVX2 (__builtin_cpu_supports("avx2") && has_f16c()) /* dispatch.c */
#if defined(SE_EMULATED)
#define SE_ISA_AVX512(X) X(avx512, SE_RUNS_AVX2)
#elif defined(SE_HAS_AVX512)
#define SE_ISA_AVX512(X) X(avx512, SE_RUNS_AVX2 && __builtin_cpu_supports("avx512f") && \
                                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
#else
#define SE_ISA_AVX512(X)
#endif
#define SE_ISAS(X) X(scalar, true) X(avx2, SE_RUNS_AVX2) SE_ISA_AVX512(X)
#elif defined(__aarch64__)
#define SE_ISAS(X) X(scalar, true) X(neon, true) /* part of the architecture */
#else
#define SE_ISAS(X) X(scalar, true)
#endif
// clang-format on

#define SE_BLOCK 64     /* pixels whose best, second and sum of three values a class stay in the first cache */
#define SE_ROW_PAD 8    /* int16: one 128-bit load */
#define SE_LABEL_PAD 16 /* pixels: two 256-bit vectors of float */

#define SE_MEMBER(name, parameters) void(*name) parameters;
struct se_kernels {
  const char *name;
  SE_KERNELS(SE_MEMBER)
};

#define SE_DECLARE_ISA(isa, runs) extern const se_kernels se_kernels__##isa;
SE_ISAS(SE_DECLARE_ISA)

#endif
