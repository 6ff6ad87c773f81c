/* The kernels' C API: resize a frame, turn logits into a mask or an overlay, blend a mask over a frame.
 *
 * Every function is pure: no allocation, no printing, no global state; it may run in many threads at once. Each computes
 * the output rows y0 <= y < y1 only, so that a pool can split one image; give every concurrent call a scratch of its own.
 * Every instruction set returns the same bytes as "scalar".
 *
 * Sides (heights and widths) lie in 1..SE_MAX_SIDE, else behaviour is undefined. Strides count bytes between rows. Frames
 * are BGR or any other order of three channels. Buffers do not overlap, except that an overlay may be its own frame.
 */
#ifndef SEGEDGE_H
#define SEGEDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Keeps every product of a side, a side and a 14-bit weight inside int32, and every buffer size inside a 32-bit size_t. */
#define SE_MAX_SIDE 16384
#define SE_MAX_CLASSES 256

typedef struct se_kernels se_kernels; /* one instruction set */

typedef enum { SE_RESIZE_BILINEAR = 0, SE_RESIZE_AREA = 1 } se_resize_rule;

/* name: NULL for the fastest set that this CPU has; returns NULL for a name that is unknown or that this CPU can't run. */
const se_kernels *se_kernels_get(const char *name);
/* Names of the sets this CPU can run, slowest first, i = 0, 1, …; NULL past the end. */
const char *se_isa_available(size_t i);
/* Names of all sets in this build; NULL past the end. */
const char *se_isa_known(size_t i);
const char *se_isa_name(const se_kernels *isa);

/* Bytes of scratch for se_resize; any alignment. */
size_t se_resize_scratch(size_t src_h, size_t src_w, size_t dst_h, size_t dst_w, se_resize_rule rule);

/* src: uint8 (src_h, src_w, 3), src_stride >= 3*src_w; dst: uint8 (dst_h, dst_w, 3), contiguous, no overlap.
 * BILINEAR: half-pixel centres, edges clamped. AREA: box average where neither side grows, else BILINEAR.
 * Fixed point with 14-bit weights: within 1 grey level of exact arithmetic. */
void se_resize(const se_kernels *isa, const uint8_t *src, size_t src_h, size_t src_w, size_t src_stride, uint8_t *dst,
               size_t dst_h, size_t dst_w, se_resize_rule rule, size_t y0, size_t y1, void *scratch);

/* Bytes of scratch for se_upsample_argmax and se_upsample_overlay; any alignment. */
size_t se_upsample_scratch(size_t w, size_t dst_w, size_t classes);

/* logits: float32 (classes, h, w), contiguous, 1 <= classes <= 256; mask: uint8 (dst_h, dst_w), contiguous, no overlap.
 *
 * A pixel's value is the class with the highest logit, interpolated bilinearly (half-pixel centres, edges clamped). Ties go
 * to the lowest class; NaN counts as minus infinity. A pixel whose four surrounding logits (corners) have one and the same
 * highest class gets that class without arithmetic: interpolation with weights >= 0 cannot lift another class above it, as
 * every rounding on the way is monotonic. So full arithmetic could differ only where rounding makes two classes equal.
 * Arithmetic: ((wy0*a + wy1*c) * wx0) + ((wy0*b + wy1*d) * wx1) in float32, each operation rounded (a b above c d). */
void se_upsample_argmax(const se_kernels *isa, const float *logits, size_t classes, size_t h, size_t w, uint8_t *mask,
                        size_t dst_h, size_t dst_w, size_t y0, size_t y1, void *scratch);

/* As se_upsample_argmax, with palette: uint8 (classes, 3); frame, overlay: uint8 (dst_h, dst_w, 3), strides >= 3*dst_w,
 * overlay == frame (and equal strides) or no overlap; 0 <= alpha <= 256; mask: uint8 (dst_h, dst_w), contiguous, or NULL.
 * overlay = (frame * (256 - alpha) + palette[mask] * alpha + 128) >> 8. */
void se_upsample_overlay(const se_kernels *isa, const float *logits, size_t classes, size_t h, size_t w,
                         const uint8_t *palette, const uint8_t *frame, size_t frame_stride, unsigned alpha, uint8_t *overlay,
                         size_t overlay_stride, uint8_t *mask, size_t dst_h, size_t dst_w, size_t y0, size_t y1,
                         void *scratch);

/* Bytes of scratch for se_blend; any alignment. */
size_t se_blend_scratch(size_t w, size_t classes);

/* mask: uint8 (h, w), contiguous; the rest as in se_upsample_overlay. Pixels with mask >= classes keep the frame. */
void se_blend(const se_kernels *isa, const uint8_t *mask, const uint8_t *palette, size_t classes, const uint8_t *frame,
              size_t frame_stride, unsigned alpha, uint8_t *overlay, size_t overlay_stride, size_t h, size_t w, size_t y0,
              size_t y1, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
