/* kernels.cu on the CPU: every thread of a grid, one after the other. Compiled as C by test_engines_tensorrt.py. */
#define __global__
#define __device__

typedef struct {
  unsigned x, y;
} dimensions;

static dimensions blockIdx, blockDim, threadIdx;

#include "kernels.cu"

#define EACH_THREAD(call)                                                                                                   \
  do {                                                                                                                      \
    blockDim = (dimensions){block_x, block_y};                                                                              \
    for (blockIdx.y = 0; blockIdx.y < grid_y; blockIdx.y++)                                                                 \
      for (blockIdx.x = 0; blockIdx.x < grid_x; blockIdx.x++)                                                               \
        for (threadIdx.y = 0; threadIdx.y < block_y; threadIdx.y++)                                                         \
          for (threadIdx.x = 0; threadIdx.x < block_x; threadIdx.x++) call;                                                 \
  } while (0)

#define GRID unsigned grid_x, unsigned grid_y, unsigned block_x, unsigned block_y

void launch_resize(GRID, const uint8_t *src, size_t src_stride, int32_t src_h, int32_t src_w, uint8_t *dst, int32_t dst_h,
                   int32_t dst_w, int32_t area) {
  EACH_THREAD(se_cuda_resize(src, src_stride, src_h, src_w, dst, dst_h, dst_w, area));
}

void launch_corners(GRID, const float *logits, int32_t classes, int32_t h, int32_t w, uint8_t *corners) {
  EACH_THREAD(se_cuda_corners(logits, classes, h, w, corners));
}

void launch_upsample(GRID, const float *logits, const uint8_t *corners, int32_t classes, int32_t h, int32_t w,
                     const uint8_t *palette, const uint8_t *frame, size_t frame_stride, uint32_t alpha, uint8_t *overlay,
                     size_t overlay_stride, uint8_t *mask, int32_t dst_h, int32_t dst_w) {
  EACH_THREAD(se_cuda_upsample(logits, corners, classes, h, w, palette, frame, frame_stride, alpha, overlay, overlay_stride,
                               mask, dst_h, dst_w));
}
