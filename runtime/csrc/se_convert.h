/* Private: rows of frames that are no BGR, as BGR, and rows of a resized frame. */
#ifndef SE_CONVERT_H
#define SE_CONVERT_H

#include "se_kernels.h"
#include "se_pixel.h"

/* The factors of a frame's conversion; nothing of use for BGR. */
se_yuv se_colour(const se_frame *frame);
/* Pixels x0 .. x0 + n of row y, 3*n bytes; x0 is even. Not for BGR. */
void se_convert_row(const se_kernels *isa, const se_frame *frame, const se_yuv *colour, size_t y, size_t x0, size_t n,
                    uint8_t *out);
/* se_resize, with row y0 at `rows`. */
void se_resize_rows(const se_kernels *isa, const se_frame *src, uint8_t *rows, size_t dst_h, size_t dst_w, size_t dst_stride,
                    se_resize_rule rule, size_t y0, size_t y1, void *scratch);

#endif
