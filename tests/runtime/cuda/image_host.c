/* se_image.h on the CPU: the loops over pixels that threads are on a GPU. Compiled by test_image.py. */
#include "se_image.h"

void host_resize(const uint8_t *src, size_t stride, int32_t src_h, int32_t src_w, uint8_t *dst, int32_t dst_h, int32_t dst_w,
                 int32_t area) {
  for (int32_t y = 0; y < dst_h; y++) {
    for (int32_t x = 0; x < dst_w; x++) {
      se_resize_pixel(src, stride, src_h, src_w, dst_h, dst_w, area, x, y,
                      dst + 3 * ((size_t)y * (size_t)dst_w + (size_t)x));
    }
  }
}

void host_upsample(const float *logits, uint8_t *corners, int32_t classes, int32_t h, int32_t w, const uint8_t *palette,
                   const uint8_t *frame, unsigned alpha, uint8_t *overlay, uint8_t *mask, int32_t dst_h, int32_t dst_w) {
  const size_t plane = (size_t)h * (size_t)w;
  for (size_t at = 0; at < plane; at++) corners[at] = se_corner_pixel(logits, classes, plane, at);
  for (int32_t y = 0; y < dst_h; y++) {
    for (int32_t x = 0; x < dst_w; x++) {
      const size_t at = (size_t)y * (size_t)dst_w + (size_t)x;
      mask[at] = se_upsample_pixel(logits, corners, classes, h, w, dst_h, dst_w, x, y);
      se_paint_pixel(mask[at], palette, classes, frame + 3 * at, alpha, overlay + 3 * at);
    }
  }
}

void host_blend(const uint8_t *mask, const uint8_t *palette, int32_t classes, const uint8_t *frame, unsigned alpha,
                uint8_t *overlay, size_t pixels) {
  for (size_t at = 0; at < pixels; at++) {
    se_paint_pixel(mask[at], palette, classes, frame + 3 * at, alpha, overlay + 3 * at);
  }
}
