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
  uint8_t *data, *chroma, *chroma_v, before; /* owned; what the output holds at first */
} job;

/* Bytes of a pixel in the first plane. */
static size_t pixel_bytes(const se_frame *f) {
  return f->format == SE_FRAME_BGR ? 3 : f->format == SE_FRAME_YUYV || f->bits > 8 ? 2 : 1;
}

static bool has_planes(const se_frame *f) {
  return f->format != SE_FRAME_BGR && f->format != SE_FRAME_YUYV;
}

/* Rows and columns that share a sample of chroma. */
static size_t rows_shared(const se_frame *f) {
  return f->format == SE_FRAME_NV12 || f->format == SE_FRAME_I420 ? 2 : 1;
}

static size_t columns_shared(const se_frame *f) {
  return f->format == SE_FRAME_I444 ? 1 : 2;
}

static job make_job(fuzz_input *in, bool large) {
  job j = {.src = {.h = fuzz_side(in), .w = fuzz_side(in)}, .h = fuzz_side(in), .w = fuzz_side(in)};
  const uint8_t kind = fuzz_byte(in);
  const uint8_t colours = fuzz_byte(in);
  j.src.format = kind % 6;
  j.rule = kind / 6 % 2 ? SE_RESIZE_AREA : SE_RESIZE_BILINEAR;
  j.src.matrix = colours % 5, j.src.full_range = colours / 5 % 2;
  if (has_planes(&j.src) && colours / 10 % 2) j.src.bits = 9 + colours / 20 % 6, j.src.low = colours % (17 - j.src.bits);
  fuzz_fit(&j.src.h, &j.src.w, MOST_IN);
  large = large && kind >= 240;
  if (large) j.h += 200, j.w += 330; /* enough pixels for several threads */
  fuzz_fit(&j.h, &j.w, large ? MOST_LARGE : MOST_OUT);
  if (j.src.format == SE_FRAME_YUYV) j.src.w += j.src.w % 2;
  const size_t row = pixel_bytes(&j.src) * j.src.w, sample = j.src.bits > 8 ? 2 : 1;
  const size_t rows = (j.src.h + rows_shared(&j.src) - 1) / rows_shared(&j.src);
  const size_t columns = (j.src.w + columns_shared(&j.src) - 1) / columns_shared(&j.src);
  const size_t chroma_row = sample * columns * (j.src.format == SE_FRAME_NV12 ? 2 : 1);
  j.src.stride = row + fuzz_byte(in) % 80 / sample * sample;
  j.src.chroma_stride = chroma_row + fuzz_byte(in) % 80 / sample * sample;
  j.stride = 3 * j.w + fuzz_byte(in) % 80;
  j.bytes = (j.h - 1) * j.stride + 3 * j.w;
  j.before = fuzz_byte(in);
  j.src.data = j.data = fuzz_bytes(in, (j.src.h - 1) * j.src.stride + row);
  if (has_planes(&j.src)) {
    j.src.chroma = j.chroma = fuzz_bytes(in, (rows - 1) * j.src.chroma_stride + chroma_row);
    j.src.chroma_v = j.chroma_v = fuzz_bytes(in, (rows - 1) * j.src.chroma_stride + chroma_row);
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

static double clamp(double value) {
  return fmin(fmax(value, 0), 255);
}

/* Sample `at` of row y of a plane, in units of 8 bits. */
static double sample_of(const se_frame *f, const uint8_t *plane, size_t stride, size_t y, size_t at) {
  if (f->bits <= 8) return plane[y * stride + at];
  uint16_t word;
  memcpy(&word, plane + y * stride + 2 * at, sizeof word);
  return (double)((unsigned)word >> f->low & ((1u << f->bits) - 1)) / (1 << (f->bits - 8));
}

static void pixel_of(const se_frame *f, size_t x, size_t y, double bgr[3]) {
  static const double weights[5][2] = {{0.299, 0.114}, {0.2126, 0.0722}, {0.2627, 0.0593}, {0.212, 0.087}, {0.30, 0.11}};
  double luma, u, v;
  if (f->format == SE_FRAME_BGR) {
    for (size_t c = 0; c < 3; c++) bgr[c] = f->data[y * f->stride + 3 * x + c];
    return;
  }
  if (f->format == SE_FRAME_YUYV) {
    const uint8_t *pair = f->data + y * f->stride + x / 2 * 4;
    luma = pair[x % 2 * 2], u = pair[1], v = pair[3];
  } else {
    const size_t at = x / columns_shared(f), row = y / rows_shared(f);
    const bool pairs = f->format == SE_FRAME_NV12;
    luma = sample_of(f, f->data, f->stride, y, x);
    u = sample_of(f, f->chroma, f->chroma_stride, row, pairs ? 2 * at : at);
    v = sample_of(f, pairs ? f->chroma : f->chroma_v, f->chroma_stride, row, pairs ? 2 * at + 1 : at);
  }
  const unsigned bits = f->bits > 8 ? f->bits : 8;
  const double full = 255.0 * (1 << (bits - 8)) / ((1 << bits) - 1), r = weights[f->matrix][0], b = weights[f->matrix][1];
  luma = f->full_range ? luma * full : (luma - 16) * 255 / 219;
  const double gain = f->full_range ? full : 255.0 / 224;
  const double blue = luma + 2 * (1 - b) * gain * (u - 128), red = luma + 2 * (1 - r) * gain * (v - 128);
  bgr[0] = clamp(blue);
  bgr[1] = clamp((luma - b * blue - r * red) / (1 - r - b));
  bgr[2] = clamp(red);
}

/* Column x of row y of the output, before its columns are averaged. */
static void row_pixel(const job *j, size_t x, size_t y, bool area, double mean[3]) {
  size_t first, last;
  double bgr[3];
  mean[0] = mean[1] = mean[2] = 0;
  touched(y, j->src.h, j->h, area, &first, &last);
  for (size_t k = first; k <= last; k++) {
    pixel_of(&j->src, x, k, bgr);
    for (size_t c = 0; c < 3; c++) mean[c] += weight_of(k, y, j->src.h, j->h, area) * bgr[c];
  }
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
        /* Within 1 of the converted frame, which is within 0.55 of exact. */
        FUZZ_CHECK(fabs(mean[c] - got) <= (j->src.format == SE_FRAME_BGR ? 1 : 1.5),
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
  free(j->chroma_v);
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
