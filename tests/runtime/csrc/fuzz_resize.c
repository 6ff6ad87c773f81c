/* se_resize (some rows) and se_resize_image (all, on threads): every instruction set against the scalar one, the scalar one
 * against the definition in segedge.h in double precision. */
#include "fuzz_input.h"
#include <math.h>

/* Pixels: small, so that many inputs are tried in a second; the few of several threads need more. */
enum { MOST_IN = 1 << 14, MOST_OUT = 1 << 13, MOST_LARGE = 1 << 17 };

typedef struct {
  se_frame src;
  size_t h, w, stride, bytes;
  se_resize_rule rule;
  uint8_t *data, *chroma, before; /* owned; what the output holds at first */
} job;

static size_t pixel_bytes(se_frame_format format) {
  return format == SE_FRAME_NV12 ? 1 : format == SE_FRAME_YUYV ? 2 : 3;
}

static job make_job(fuzz_input *in, bool large) {
  job j = {.src = {.h = fuzz_side(in), .w = fuzz_side(in)}, .h = fuzz_side(in), .w = fuzz_side(in)};
  const uint8_t kind = fuzz_byte(in);
  j.src.format = kind % 3;
  j.rule = kind / 3 % 2 ? SE_RESIZE_AREA : SE_RESIZE_BILINEAR;
  fuzz_fit(&j.src.h, &j.src.w, MOST_IN);
  large = large && kind >= 240;
  if (large) j.h += 200, j.w += 330; /* enough pixels for several threads */
  fuzz_fit(&j.h, &j.w, large ? MOST_LARGE : MOST_OUT);
  /* A 4:2:0 frame has even sides, a 4:2:2 one an even width. */
  if (j.src.format == SE_FRAME_NV12) j.src.h += j.src.h % 2;
  if (j.src.format != SE_FRAME_BGR) j.src.w += j.src.w % 2;
  const size_t row = pixel_bytes(j.src.format) * j.src.w;
  j.src.stride = row + fuzz_byte(in) % 80;
  j.src.chroma_stride = j.src.w + fuzz_byte(in) % 80;
  j.stride = 3 * j.w + fuzz_byte(in) % 80;
  j.bytes = (j.h - 1) * j.stride + 3 * j.w;
  j.before = fuzz_byte(in);
  j.src.data = j.data = fuzz_bytes(in, (j.src.h - 1) * j.src.stride + row);
  if (j.src.format == SE_FRAME_NV12) {
    j.src.chroma = j.chroma = fuzz_bytes(in, (j.src.h / 2 - 1) * j.src.chroma_stride + j.src.w);
  }
  return j;
}

/* ---- the definition ---- */

/* Output pixel i of n_out is the mean of input pixels first .. last with these weights. */
static double weight_of(size_t k, size_t i, size_t n_in, size_t n_out, bool area) {
  const double scale = (double)n_in / (double)n_out;
  if (area) {
    const double left = fmax((double)k, (double)i * scale), right = fmin((double)k + 1, (double)(i + 1) * scale);
    return fmax(0, right - left) / scale;
  }
  const double centre = fmin(fmax(((double)i + 0.5) * scale - 0.5, 0), (double)n_in - 1);
  return fmax(0, 1 - fabs((double)k - centre));
}

static void touched(size_t i, size_t n_in, size_t n_out, bool area, size_t *first, size_t *last) {
  const double scale = (double)n_in / (double)n_out;
  const double low = area ? (double)i * scale : ((double)i + 0.5) * scale - 1.5;
  const double high = area ? (double)(i + 1) * scale + 1 : ((double)i + 0.5) * scale + 1.5;
  *first = low > 0 ? (size_t)low : 0;
  *last = high < (double)n_in - 1 ? (size_t)high : n_in - 1;
}

/* Row y of the output before its columns are averaged: sample `at` of every pixel's row. */
static double column_mean(const uint8_t *data, size_t stride, size_t at, size_t shared, const job *j, size_t y, bool area) {
  size_t first, last;
  double sum = 0;
  touched(y, j->src.h, j->h, area, &first, &last);
  for (size_t k = first; k <= last; k++) sum += weight_of(k, y, j->src.h, j->h, area) * data[k / shared * stride + at];
  return sum;
}

static double clamp(double value) {
  return fmin(fmax(value, 0), 255);
}

static void row_pixel(const job *j, size_t x, size_t y, bool area, double bgr[3]) {
  const se_frame *f = &j->src;
  if (f->format == SE_FRAME_BGR) {
    for (size_t c = 0; c < 3; c++) bgr[c] = column_mean(f->data, f->stride, 3 * x + c, 1, j, y, area);
    return;
  }
  const bool nv12 = f->format == SE_FRAME_NV12;
  const uint8_t *chroma = nv12 ? f->chroma : f->data;
  const size_t stride = nv12 ? f->chroma_stride : f->stride, shared = nv12 ? 2 : 1;
  const size_t at_u = nv12 ? x / 2 * 2 : x / 2 * 4 + 1, at_v = nv12 ? at_u + 1 : at_u + 2;
  const double luma = fmax(0, column_mean(f->data, f->stride, nv12 ? x : 2 * x, 1, j, y, area) - 16);
  const double u = column_mean(chroma, stride, at_u, shared, j, y, area) - 128;
  const double v = column_mean(chroma, stride, at_v, shared, j, y, area) - 128;
  bgr[0] = clamp(1.164383 * luma + 2.017232 * u);
  bgr[1] = clamp(1.164383 * luma - 0.391762 * u - 0.812968 * v);
  bgr[2] = clamp(1.164383 * luma + 1.596027 * v);
}

/* Compares pixels in a lattice that takes at most some dozens of them: the rest is the instruction sets' comparison. */
static void check_definition(const job *j, const uint8_t *out) {
  const bool area = j->rule == SE_RESIZE_AREA && j->h <= j->src.h && j->w <= j->src.w;
  if (area && (j->src.h > 12 * j->h || j->src.w > 12 * j->w)) return; /* segedge.h promises nothing there */
  for (size_t y = 0; y < j->h; y += 1 + j->h / 6) {
    for (size_t x = 0; x < j->w; x += 1 + j->w / 6) {
      size_t first, last;
      double mean[3] = {0}, bgr[3];
      touched(x, j->src.w, j->w, area, &first, &last);
      for (size_t k = first; k <= last; k++) {
        row_pixel(j, k, y, area, bgr);
        for (size_t c = 0; c < 3; c++) mean[c] += weight_of(k, x, j->src.w, j->w, area) * bgr[c];
      }
      for (size_t c = 0; c < 3; c++) {
        const int got = out[y * j->stride + 3 * x + c];
        FUZZ_CHECK(fabs(mean[c] - got) <= 1,
                   "(%zu, %zu) to (%zu, %zu), format %d, rule %d: y %zu x %zu channel %zu is %d, exactly %g", j->src.h,
                   j->src.w, j->h, j->w, (int)j->src.format, (int)j->rule, y, x, c, got, mean[c]);
      }
    }
  }
}

/* ---- the calls ---- */

static uint8_t *new_output(const job *j) {
  return memset(fuzz_block(j->bytes), j->before, j->bytes);
}

static uint8_t *whole(const job *j, const se_kernels *isa, fuzz_input *in) {
  uint8_t *out = new_output(j);
  void *start, *scratch = fuzz_scratch(in, se_resize_scratch(&j->src, j->h, j->w, j->rule), &start);
  se_resize(isa, &j->src, out, j->h, j->w, j->stride, j->rule, 0, j->h, scratch);
  free(start);
  return out;
}

/* The definition holds, and nothing is written between rows. */
static void check_whole(const job *j, const uint8_t *out) {
  for (size_t y = 0; y + 1 < j->h; y++) {
    for (size_t i = 3 * j->w; i < j->stride; i++) FUZZ_CHECK(out[y * j->stride + i] == j->before, "row %zu, byte %zu", y, i);
  }
  check_definition(j, out);
}

static void check_equal(const job *j, const se_kernels *isa, const uint8_t *out, const uint8_t *expected) {
  FUZZ_CHECK(memcmp(out, expected, j->bytes) == 0, "%s: (%zu, %zu) to (%zu, %zu), format %d, rule %d", se_isa_name(isa),
             j->src.h, j->src.w, j->h, j->w, (int)j->src.format, (int)j->rule);
}

static void end(job *j, uint8_t *expected) {
  free(j->data);
  free(j->chroma);
  free(expected);
}

void fuzz_resize_rows(fuzz_input in) {
  job j = make_job(&in, false);
  uint8_t *all = whole(&j, se_kernels_get("scalar"), &in), *expected = new_output(&j);
  check_whole(&j, all);
  const size_t y0 = fuzz_between(&in, 0, j.h), y1 = fuzz_between(&in, y0, j.h); /* none is a range too */
  for (size_t y = y0; y < y1; y++) memcpy(expected + y * j.stride, all + y * j.stride, 3 * j.w);
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    uint8_t *out = new_output(&j);
    void *start, *scratch = fuzz_scratch(&in, se_resize_scratch(&j.src, j.h, j.w, j.rule), &start);
    se_resize(isa, &j.src, out, j.h, j.w, j.stride, j.rule, y0, y1, scratch);
    check_equal(&j, isa, out, expected);
    free(start);
    free(out);
  }
  free(all);
  end(&j, expected);
}

void fuzz_resize_image(fuzz_input in) {
  const size_t threads = fuzz_byte(&in) % (SE_MAX_THREADS + 4); /* 0 is the default, more than there may be is fewer */
  job j = make_job(&in, true);
  uint8_t *expected = whole(&j, se_kernels_get("scalar"), &in);
  check_whole(&j, expected);
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    uint8_t *out = new_output(&j);
    void *start, *workspace = fuzz_scratch(&in, se_resize_workspace(&j.src, j.h, j.w, j.rule, threads), &start);
    se_resize_image(isa, &j.src, out, j.h, j.w, j.stride, j.rule, threads, workspace);
    check_equal(&j, isa, out, expected);
    free(start);
    free(out);
  }
  end(&j, expected);
}
