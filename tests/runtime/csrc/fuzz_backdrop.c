/* se_backdrop_rows and se_backdrop_image: every instruction set against the definition in segedge.h, pixel by pixel; what
 * stretches both images is se_resize, which has a target of its own. */
#include "fuzz_input.h"

enum { MOST = 1 << 12, MOST_LARGE = 1 << 17 };

static uint8_t *stretched(const uint8_t *image, size_t h, size_t w, size_t stride, size_t out_h, size_t out_w) {
  const se_frame src = {.format = SE_FRAME_BGR, .h = h, .w = w, .data = image, .stride = stride};
  uint8_t *out = fuzz_block(3 * out_h * out_w);
  void *scratch = fuzz_block(se_resize_scratch(&src, out_h, out_w, SE_RESIZE_BILINEAR));
  se_resize(se_kernels_get("scalar"), &src, out, out_h, out_w, 3 * out_w, SE_RESIZE_BILINEAR, 0, out_h, scratch);
  free(scratch);
  return out;
}

/* The frame as BGR: rows without gaps. */
static uint8_t *as_bgr(const se_frame *frame) {
  uint8_t *out = fuzz_block(3 * frame->h * frame->w);
  if (frame->format == SE_FRAME_BGR) {
    for (size_t y = 0; y < frame->h; y++) memcpy(out + 3 * y * frame->w, frame->data + y * frame->stride, 3 * frame->w);
    return out;
  }
  void *scratch = fuzz_block(se_resize_scratch(frame, frame->h, frame->w, SE_RESIZE_BILINEAR));
  se_resize(se_kernels_get("scalar"), frame, out, frame->h, frame->w, 3 * frame->w, SE_RESIZE_BILINEAR, 0, frame->h,
            scratch);
  free(scratch);
  return out;
}

static void define(const se_backdrop_job *job, uint8_t *expected) {
  const size_t h = job->frame->h, w = job->frame->w;
  uint8_t *bgr = as_bgr(job->frame), *triple = fuzz_block(3 * job->front_h * job->front_w);
  for (size_t i = 0; i < job->front_h * job->front_w; i++) memset(triple + 3 * i, job->front[i], 3);
  uint8_t *front = stretched(triple, job->front_h, job->front_w, 3 * job->front_w, h, w);
  uint8_t *ground = stretched(job->ground, job->ground_h, job->ground_w, job->ground_stride, h, w);
  for (size_t y = 0; y < h; y++) {
    for (size_t i = 0; i < 3 * w; i++) {
      const size_t at = y * 3 * w + i;
      int k = (front[at] - 128) * (int)job->steep + 128;
      k = k < 0 ? 0 : k > 256 ? 256 : k;
      expected[y * job->out_stride + i] = (uint8_t)((bgr[at] * k + ground[at] * (256 - k) + 128) >> 8);
    }
  }
  free(bgr);
  free(triple);
  free(front);
  free(ground);
}

static void check(const se_kernels *isa, const se_backdrop_job *job, const uint8_t *expected, size_t bytes) {
  FUZZ_CHECK(memcmp(job->out, expected, bytes) == 0, "%s: frame (%zu, %zu), front (%zu, %zu), ground (%zu, %zu), steep %u",
             se_isa_name(isa), job->frame->h, job->frame->w, job->front_h, job->front_w, job->ground_h, job->ground_w,
             job->steep);
}

void fuzz_backdrop(fuzz_input in) {
  se_frame frame = {.h = fuzz_side(&in), .w = fuzz_side(&in)};
  se_backdrop_job job = {.frame = &frame, .front_h = fuzz_side(&in), .front_w = fuzz_side(&in), .ground_h = fuzz_side(&in)};
  job.ground_w = fuzz_side(&in);
  const uint8_t kind = fuzz_byte(&in);
  const bool large = kind >= 240;
  frame.format = kind % 2 ? SE_FRAME_I444 : SE_FRAME_BGR;
  job.steep = (unsigned)fuzz_between(&in, 1, SE_MAX_STEEP);
  if (large) frame.h += 200, frame.w += 330; /* enough pixels for several threads */
  fuzz_fit(&frame.h, &frame.w, large ? MOST_LARGE : MOST);
  fuzz_fit(&job.front_h, &job.front_w, MOST);
  fuzz_fit(&job.ground_h, &job.ground_w, MOST);
  if (kind / 2 % 4 == 0 && !large) job.ground_h = frame.h, job.ground_w = frame.w;
  const size_t row = frame.format == SE_FRAME_BGR ? 3 * frame.w : frame.w;
  frame.stride = frame.chroma_stride = row + fuzz_byte(&in) % 80;
  job.ground_stride = 3 * job.ground_w + fuzz_byte(&in) % 80;
  job.out_stride = 3 * frame.w + fuzz_byte(&in) % 80;
  const size_t plane = (frame.h - 1) * frame.stride + row, bytes = (frame.h - 1) * job.out_stride + 3 * frame.w;
  const uint8_t before = fuzz_byte(&in);
  uint8_t *data = fuzz_bytes(&in, plane), *u = fuzz_bytes(&in, plane), *v = fuzz_bytes(&in, plane);
  uint8_t *front = fuzz_bytes(&in, job.front_h * job.front_w);
  uint8_t *ground = fuzz_bytes(&in, (job.ground_h - 1) * job.ground_stride + 3 * job.ground_w);
  frame.data = data, frame.chroma = u, frame.chroma_v = v, job.front = front, job.ground = ground;
  uint8_t *whole = memset(fuzz_block(bytes), before, bytes), *part = memset(fuzz_block(bytes), before, bytes);
  define(&job, whole);
  const size_t y0 = fuzz_between(&in, 0, frame.h), y1 = fuzz_between(&in, y0, frame.h); /* none is a range too */
  for (size_t y = y0; y < y1; y++) memcpy(part + y * job.out_stride, whole + y * job.out_stride, 3 * frame.w);
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    void *start, *scratch = fuzz_scratch(&in, se_backdrop_scratch(&job), &start);
    job.out = memset(fuzz_block(bytes), before, bytes);
    se_backdrop_rows(isa, &job, y0, y1, scratch);
    check(isa, &job, part, bytes);
    free(start);
    const size_t threads = 1 + i % 3;
    scratch = fuzz_scratch(&in, se_backdrop_workspace(&job, threads), &start);
    memset(job.out, before, bytes);
    se_backdrop_image(isa, &job, threads, scratch);
    check(isa, &job, whole, bytes);
    free(start);
    free(job.out);
  }
  free(data);
  free(u);
  free(v);
  free(front);
  free(ground);
  free(whole);
  free(part);
}
