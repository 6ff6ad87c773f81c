/* What stays in front, on another background: both the map of what stays and the background are stretched over the frame, a
 * few rows at a time, and mixed while they are in the cache. */
#include "se_convert.h"
#include "se_scratch.h"
#include <string.h>

/* Rows that are stretched by one call: a call makes tables of the columns, which are worth about a row. */
enum { ROWS = 32 };

typedef struct {
  uint8_t *front;   /* the job's, each value three times: as a BGR frame */
  uint8_t *weights; /* ROWS rows of it, stretched */
  uint16_t *keep, *add;
  uint8_t *bgr;  /* a row of a frame that is no BGR */
  void *stretch; /* of se_resize_rows */
  size_t size;
} se_parts;

static se_frame as_frame(const uint8_t *data, size_t h, size_t w, size_t row) {
  return (se_frame){.format = SE_FRAME_BGR, .h = h, .w = w, .data = data, .stride = row};
}

static se_parts lay_parts(const se_backdrop_job *job, void *memory) {
  se_parts parts = {0};
  se_scratch scratch = se_scratch_open(memory);
  const size_t h = job->frame->h, w = job->frame->w, row = 3 * w;
  parts.front = se_scratch_take(&scratch, 3 * job->front_h * job->front_w);
  parts.weights = se_scratch_take(&scratch, ROWS * row);
  parts.keep = se_scratch_take(&scratch, row * sizeof(uint16_t));
  parts.add = se_scratch_take(&scratch, row * sizeof(uint16_t));
  parts.bgr = se_scratch_take(&scratch, job->frame->format == SE_FRAME_BGR ? 0 : row);
  const se_frame front = as_frame(NULL, job->front_h, job->front_w, 3 * job->front_w);
  const se_frame ground = as_frame(NULL, job->ground_h, job->ground_w, job->ground_stride);
  const size_t one = se_resize_scratch(&front, h, w, SE_RESIZE_BILINEAR);
  const size_t other = se_resize_scratch(&ground, h, w, SE_RESIZE_BILINEAR);
  parts.stretch = se_scratch_take(&scratch, one > other ? one : other);
  parts.size = se_scratch_size(&scratch);
  return parts;
}

size_t se_backdrop_scratch(const se_backdrop_job *job) {
  return lay_parts(job, NULL).size;
}

/* Plain loops of 16 bits: compilers make vectors of them for any machine. */
static void weigh(const se_parts *parts, const uint8_t *weights, const uint8_t *ground, int steep, size_t n) {
  uint16_t *keep = parts->keep, *add = parts->add;
  for (size_t i = 0; i < n; i++) {
    const int k = (weights[i] - 128) * steep + 128;
    const int within = k < 0 ? 0 : k > 256 ? 256 : k;
    keep[i] = (uint16_t)within;
    add[i] = (uint16_t)(ground[i] * (256 - within) + 128);
  }
}

void se_backdrop_rows(const se_kernels *isa, const se_backdrop_job *job, size_t y0, size_t y1, void *scratch) {
  const se_frame *frame = job->frame;
  const size_t row = 3 * frame->w;
  const se_parts parts = lay_parts(job, scratch);
  const se_yuv colour = se_colour(frame);
  for (size_t i = 0; i < job->front_h * job->front_w; i++) memset(parts.front + 3 * i, job->front[i], 3);
  const se_frame front = as_frame(parts.front, job->front_h, job->front_w, 3 * job->front_w);
  const se_frame ground = as_frame(job->ground, job->ground_h, job->ground_w, job->ground_stride);
  const bool stretched = ground.h != frame->h || ground.w != frame->w;
  for (size_t first = y0, last; first < y1; first = last) {
    last = first + ROWS < y1 ? first + ROWS : y1;
    uint8_t *out = job->out + first * job->out_stride;
    se_resize_rows(isa, &front, parts.weights, frame->h, frame->w, row, SE_RESIZE_BILINEAR, first, last, parts.stretch);
    if (stretched) {
      se_resize_rows(isa, &ground, out, frame->h, frame->w, job->out_stride, SE_RESIZE_BILINEAR, first, last, parts.stretch);
    }
    for (size_t y = first; y < last; y++, out += job->out_stride) {
      const uint8_t *pixels = frame->data + y * frame->stride;
      if (frame->format != SE_FRAME_BGR) {
        se_convert_row(isa, frame, &colour, y, 0, frame->w, parts.bgr);
        pixels = parts.bgr;
      }
      weigh(&parts, parts.weights + (y - first) * row, stretched ? out : ground.data + y * ground.stride, (int)job->steep,
            row);
      isa->u8_u16_mix_each(pixels, parts.keep, parts.add, row, out);
    }
  }
}
