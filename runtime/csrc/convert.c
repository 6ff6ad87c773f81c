/* From a frame's format, matrix and range to factors, and to the microkernel that converts its rows. */
#include "se_convert.h"

/* Kr and Kb of se_matrix, in its order. */
static const struct {
  double r, b;
} luma_weights[] = {{0.299, 0.114}, {0.2126, 0.0722}, {0.2627, 0.0593}, {0.212, 0.087}, {0.30, 0.11}};

/* Rounded half away from zero; |value| is far below 2^15. */
static int16_t to_int16(double value) {
  return (int16_t)(value < 0 ? value - 0.5 : value + 0.5);
}

se_yuv se_colour(const se_frame *frame) {
  const unsigned bits = frame->bits ? frame->bits : 8;
  const double r = luma_weights[frame->matrix].r, b = luma_weights[frame->matrix].b, g = 1 - r - b;
  /* Grey levels for one step of an 8-bit code; deeper codes have as many steps more, and in full range one less than that.
   */
  const double full = 255.0 / 256 * (1 << bits) / ((1 << bits) - 1);
  const double y = frame->full_range ? full : 255.0 / 219, c = frame->full_range ? full : 255.0 / 224;
  se_yuv colour = {.black = (int16_t)(frame->full_range ? 0 : 16 << (bits - 8)), .grey = (int16_t)(1 << (bits - 1))};
  colour.drop = (int16_t)frame->low;
  colour.mask = (int16_t)((1 << bits) - 1);
  colour.y_up = (int16_t)(15 - bits);
  colour.uv_up = (int16_t)(16 - bits);
  colour.y = to_int16(y * (1 << 14));
  colour.bu = to_int16(2 * (1 - b) * c * (1 << 13));
  colour.rv = to_int16(2 * (1 - r) * c * (1 << 13));
  colour.gu = to_int16(-2 * (1 - b) * b / g * c * (1 << 13));
  colour.gv = to_int16(-2 * (1 - r) * r / g * c * (1 << 13));
  return colour;
}

void se_convert_row(const se_kernels *isa, const se_frame *frame, const se_yuv *colour, size_t y, size_t x0, size_t n,
                    uint8_t *out) {
  const bool wide = frame->bits > 8, halved = frame->format == SE_FRAME_NV12 || frame->format == SE_FRAME_I420;
  const size_t sample = wide ? 2 : 1, rows = (halved ? y / 2 : y) * frame->chroma_stride;
  const uint8_t *luma = frame->data + y * frame->stride + sample * x0;
  const size_t at = rows + sample * (frame->format == SE_FRAME_NV12 || frame->format == SE_FRAME_I444 ? x0 : x0 / 2);
  switch (frame->format) {
  case SE_FRAME_NV12:
    (wide ? isa->u16_nv12_bgr : isa->u8_nv12_bgr)(colour, luma, frame->chroma + at, NULL, n, out);
    break;
  case SE_FRAME_I420:
  case SE_FRAME_I422:
    (wide ? isa->u16_i422_bgr : isa->u8_i422_bgr)(colour, luma, frame->chroma + at, frame->chroma_v + at, n, out);
    break;
  case SE_FRAME_I444:
    (wide ? isa->u16_i444_bgr : isa->u8_i444_bgr)(colour, luma, frame->chroma + at, frame->chroma_v + at, n, out);
    break;
  default: /* YUYV: two bytes a pixel */
    isa->u8_yuyv_bgr(colour, luma + x0, NULL, NULL, n, out);
  }
}
