/* The kernels for NVIDIA GPUs: one thread a pixel. The arithmetic is in se_image.h and csrc/se_pixel.h. */
#include "se_image.h"

#ifdef __cplusplus
#define SE_KERNEL extern "C" __global__ void
#else /* the tests run the kernels on the CPU, as C */
#define SE_KERNEL __global__ void
#endif

static __device__ int32_t column(void) {
  return (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
}

static __device__ int32_t row(void) {
  return (int32_t)(blockIdx.y * blockDim.y + threadIdx.y);
}

/* dst: uint8 (dst_h, dst_w, 3), contiguous. */
SE_KERNEL se_cuda_resize(const uint8_t *src, size_t src_stride, int32_t src_h, int32_t src_w, uint8_t *dst, int32_t dst_h,
                         int32_t dst_w, int32_t area) {
  const int32_t x = column(), y = row();
  if (x >= dst_w || y >= dst_h) return;
  uint8_t pixel[3];
  se_resize_pixel(src, src_stride, src_h, src_w, dst_h, dst_w, area, x, y, pixel);
  uint8_t *out = dst + 3 * ((size_t)y * (size_t)dst_w + (size_t)x);
  for (int c = 0; c < 3; c++) out[c] = pixel[c];
}

/* corners: uint8 (h, w): the first pass of se_cuda_upsample. */
SE_KERNEL se_cuda_corners(const float *logits, int32_t classes, int32_t h, int32_t w, uint8_t *corners) {
  const int32_t x = column(), y = row();
  if (x >= w || y >= h) return;
  const size_t at = (size_t)y * (size_t)w + (size_t)x;
  corners[at] = se_corner_pixel(logits, classes, (size_t)h * (size_t)w, at);
}

/* mask and overlay may each be NULL; frame and palette too where overlay is. overlay may be the frame. */
SE_KERNEL se_cuda_upsample(const float *logits, const uint8_t *corners, int32_t classes, int32_t h, int32_t w,
                           const uint8_t *palette, const uint8_t *frame, size_t frame_stride, uint32_t alpha,
                           uint8_t *overlay, size_t overlay_stride, uint8_t *mask, int32_t dst_h, int32_t dst_w) {
  const int32_t x = column(), y = row();
  if (x >= dst_w || y >= dst_h) return;
  const uint8_t label = se_upsample_pixel(logits, corners, classes, h, w, dst_h, dst_w, x, y);
  if (mask) mask[(size_t)y * (size_t)dst_w + (size_t)x] = label;
  if (overlay) {
    const size_t at = 3 * (size_t)x;
    se_paint_pixel(label, palette, classes, frame + (size_t)y * frame_stride + at, alpha,
                   overlay + (size_t)y * overlay_stride + at);
  }
}

SE_KERNEL se_cuda_blend(const uint8_t *mask, const uint8_t *palette, int32_t classes, const uint8_t *frame,
                        size_t frame_stride, uint32_t alpha, uint8_t *overlay, size_t overlay_stride, int32_t h, int32_t w) {
  const int32_t x = column(), y = row();
  if (x >= w || y >= h) return;
  const size_t at = 3 * (size_t)x;
  se_paint_pixel(mask[(size_t)y * (size_t)w + (size_t)x], palette, classes, frame + (size_t)y * frame_stride + at, alpha,
                 overlay + (size_t)y * overlay_stride + at);
}
