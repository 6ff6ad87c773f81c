/* AVX-512's intrinsics in plain C, to compare kernels_avx512.c with the scalar kernels on any x86-64: SIMDe's, and the seven
 * that its release 0.7.4 lacks. Included before the file by the build (option SEG_EDGE_EMULATE_AVX512). */
#ifndef EMULATE_AVX512_H
#define EMULATE_AVX512_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#pragma GCC diagnostic pop

#include "se_pixel.h"

typedef simde__mmask16 __mmask16;
#undef _mm512_madd_epi16 /* its alias there asks for a mask */
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

static inline __m512 _mm512_cvtph_ps(__m256i halves) {
  uint16_t from[16];
  float to[16];
  memcpy(from, &halves, sizeof from);
  for (int i = 0; i < 16; i++) to[i] = se_f16_to_f32(from[i]);
  return _mm512_loadu_ps(to);
}

static inline __m512 _mm512_cvtepi32_ps(__m512i numbers) {
  int32_t from[16];
  float to[16];
  memcpy(from, &numbers, sizeof from);
  for (int i = 0; i < 16; i++) to[i] = (float)from[i];
  return _mm512_loadu_ps(to);
}

#define WIDEN(name, vector, type, wide, count)                                                                              \
  static inline __m512i name(vector narrow) {                                                                               \
    type from[count];                                                                                                       \
    wide to[count];                                                                                                         \
    memcpy(from, &narrow, sizeof from);                                                                                     \
    for (int i = 0; i < count; i++) to[i] = from[i];                                                                        \
    return _mm512_loadu_si512(to);                                                                                          \
  }
WIDEN(_mm512_cvtepi8_epi32, __m128i, int8_t, int32_t, 16)
WIDEN(_mm512_cvtepu8_epi32, __m128i, uint8_t, int32_t, 16)
WIDEN(_mm512_cvtepu8_epi16, __m256i, uint8_t, uint16_t, 32)

static inline __m128i _mm512_cvtepi32_epi8(__m512i numbers) {
  int32_t from[16];
  uint8_t to[16];
  memcpy(from, &numbers, sizeof from);
  for (int i = 0; i < 16; i++) to[i] = (uint8_t)from[i];
  return _mm_loadu_si128((const __m128i *)to);
}

static inline __m512i _mm512_srai_epi32(__m512i numbers, unsigned shift) {
  int32_t values[16];
  memcpy(values, &numbers, sizeof values);
  for (int i = 0; i < 16; i++) values[i] >>= shift;
  return _mm512_loadu_si512(values);
}

#endif
