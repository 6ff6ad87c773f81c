/* se_paint_prepare with se_paint_rows (some rows) and se_paint (all, on threads): every instruction set against the
 * definition in segedge.h, written out pixel by pixel here; equal to the byte. */
#include "fuzz_input.h"
#include <float.h>
#include <math.h>

/* Values, pixels, and pixels times classes: small, so that many inputs are tried in a second. */
enum { MOST_LOGITS = 1 << 14, MOST_OUT = 1 << 13, MOST_WORK = 1 << 16, MOST_LARGE = 1 << 17 };

typedef struct {
  se_paint_job paint; /* without mask and overlay, which each run has of its own */
  size_t mask_bytes, overlay_bytes;
  bool want_mask, want_overlay, want_counts, in_place;
  uint8_t before;
  void *logits; /* owned */
  uint8_t *labels, *frame, *palette, *line_palette;
  uint16_t *alpha, *line_alpha, *ids;
  uint32_t *rows, *ends;
  se_regions regions;
} job;

/* ---- arguments ---- */

/* Few values, so that classes tie; and those at which arithmetic breaks. */
static const float numbers[] = {0,       -0.0f,    1,       -1,     2,       3,          1.0000001f, 1e-3f,
                                FLT_MAX, -FLT_MAX, FLT_MIN, 1e-40f, -1e-40f, 16777216.f, INFINITY,   NAN};
/* The same as binary16: 65504, its least normal and subnormal, infinity, NaN with a payload. */
static const uint16_t halves[] = {0,      0x8000, 0x3c00, 0xbc00, 0x4000, 0x4200, 0x3c01, 0x1419,
                                  0x7bff, 0xfbff, 0x0400, 0x0001, 0x8001, 0x6400, 0x7c00, 0x7e01};

static void *make_logits(fuzz_input *in, size_t count, se_logits_type type) {
  const size_t size = type == SE_LOGITS_F32 ? 4 : type == SE_LOGITS_F16 ? 2 : 1;
  const bool few = fuzz_byte(in) % 2 && size > 1;
  uint8_t *codes = fuzz_bytes(in, few ? count : size * count);
  if (!few) return codes; /* any bits */
  uint8_t *logits = fuzz_block(size * count);
  for (size_t i = 0; i < count; i++) {
    if (type == SE_LOGITS_F32) memcpy(logits + 4 * i, numbers + codes[i] % 16, 4);
    if (type == SE_LOGITS_F16) memcpy(logits + 2 * i, halves + codes[i] % 16, 2);
  }
  free(codes);
  return logits;
}

static uint16_t *make_alpha(fuzz_input *in, size_t classes) {
  uint16_t *alpha = fuzz_block(classes * sizeof *alpha);
  const bool each = fuzz_byte(in) % 2;
  for (size_t c = 0; c < classes; c++) alpha[c] = each || c == 0 ? (uint16_t)fuzz_between(in, 0, 256) : alpha[0];
  return alpha;
}

/* Every row in up to four runs of up to four regions. */
static void make_regions(fuzz_input *in, job *j) {
  const size_t h = j->paint.dst_h, w = j->paint.dst_w;
  j->rows = fuzz_block((h + 1) * sizeof *j->rows);
  j->ends = fuzz_block(4 * h * sizeof *j->ends);
  j->ids = fuzz_block(4 * h * sizeof *j->ids);
  size_t run = 0;
  for (size_t y = 0; y < h; y++) {
    j->rows[y] = (uint32_t)run;
    for (size_t x = 0; x < w; run++) {
      x = run - j->rows[y] == 3 ? w : fuzz_between(in, x + 1, w);
      j->ends[run] = (uint32_t)x;
      j->ids[run] = (uint16_t)(fuzz_byte(in) % 4);
    }
  }
  j->rows[h] = (uint32_t)run;
  j->regions = (se_regions){4, j->rows, j->ends, j->ids};
}

static job make_job(fuzz_input *in, bool large) {
  job j = {0};
  se_paint_job *p = &j.paint;
  const uint8_t kind = fuzz_byte(in), wanted = fuzz_byte(in);
  const bool from_labels = kind % 8 == 7;
  p->type = (se_logits_type)(kind / 8 % 4);
  p->classes = fuzz_byte(in) % 4 ? fuzz_between(in, 1, 12) : fuzz_between(in, 1, SE_MAX_CLASSES);
  p->h = fuzz_side(in), p->w = fuzz_side(in), p->dst_h = fuzz_side(in), p->dst_w = fuzz_side(in);
  large = large && kind >= 240;
  if (large) p->dst_h += 200, p->dst_w += 330; /* enough pixels for several threads */
  fuzz_fit(&p->h, &p->w, MOST_LOGITS / p->classes);
  const size_t most = MOST_WORK / p->classes;
  fuzz_fit(&p->dst_h, &p->dst_w, large ? MOST_LARGE : most < MOST_OUT ? most : MOST_OUT);
  if (wanted & 1 && !from_labels) { /* letterboxed */
    p->of_h = fuzz_side(in), p->of_w = fuzz_side(in);
    p->top = fuzz_between(in, 0, p->of_h - 1), p->left = fuzz_between(in, 0, p->of_w - 1);
    p->view_h = fuzz_between(in, 1, p->of_h - p->top), p->view_w = fuzz_between(in, 1, p->of_w - p->left);
  }
  j.want_mask = !from_labels && wanted & 2;
  j.want_counts = wanted & 32;
  j.want_overlay = (!j.want_mask && !(wanted & 128)) || wanted & 4;
  j.want_counts |= !j.want_mask && !j.want_overlay;
  j.in_place = wanted & 8;
  j.before = fuzz_byte(in);
  j.mask_bytes = p->dst_h * p->dst_w;
  p->frame_stride = 3 * p->dst_w + fuzz_byte(in) % 80;
  p->overlay_stride = j.in_place ? p->frame_stride : 3 * p->dst_w + fuzz_byte(in) % 80;
  j.overlay_bytes = (p->dst_h - 1) * p->overlay_stride + 3 * p->dst_w;
  if (from_labels) {
    p->labels = j.labels = fuzz_bytes(in, j.mask_bytes);
  } else {
    p->logits = j.logits = make_logits(in, p->classes * p->h * p->w, p->type);
  }
  if (j.want_counts && wanted & 64) make_regions(in, &j);
  if (!j.want_overlay) return j;
  p->frame = j.frame = fuzz_bytes(in, (p->dst_h - 1) * p->frame_stride + 3 * p->dst_w);
  p->palette = j.palette = fuzz_bytes(in, 3 * p->classes);
  p->alpha = j.alpha = make_alpha(in, p->classes);
  if (wanted & 16) {
    p->line_palette = j.line_palette = fuzz_bytes(in, 3 * p->classes);
    p->line_alpha = j.line_alpha = make_alpha(in, p->classes);
  }
  return j;
}

static void end(job *j) {
  free(j->logits);
  free(j->labels);
  free(j->frame);
  free(j->palette);
  free(j->line_palette);
  free(j->alpha);
  free(j->line_alpha);
  free(j->rows);
  free(j->ends);
  free(j->ids);
}

/* ---- the definition ---- */

static float logit(const se_paint_job *p, size_t c, size_t y, size_t x) {
  const size_t i = (c * p->h + y) * p->w + x;
  if (p->type == SE_LOGITS_F32) return ((const float *)p->logits)[i];
  if (p->type == SE_LOGITS_I8) return ((const int8_t *)p->logits)[i];
  if (p->type == SE_LOGITS_U8) return ((const uint8_t *)p->logits)[i];
  const unsigned half = ((const uint16_t *)p->logits)[i], exponent = half >> 10 & 31, fraction = half & 1023;
  const float size = exponent == 31
                         ? (fraction ? NAN : INFINITY)
                         : ldexpf((float)(exponent ? 1024 + fraction : fraction), exponent ? (int)exponent - 25 : -24);
  return half >> 15 ? -size : size;
}

/* Output pixel i lies between the logits low and high, with these weights. */
typedef struct {
  size_t low, high;
  float w0, w1;
} place;

static place locate(size_t i, size_t n_in, size_t n_out, size_t start, size_t length, size_t of) {
  if (!of) start = 0, length = of = 1;
  /* ((start + (i + 1/2) length / n_out) n_in / of) - 1/2, as a fraction. */
  const int64_t whole = 2 * (int64_t)n_out * (int64_t)of, count = (int64_t)n_in;
  const int64_t top = (int64_t)(2 * n_out * start + (2 * i + 1) * length) * count - (int64_t)(n_out * of);
  const int64_t before = top < 0 ? -1 : top / whole; /* never below -1 */
  const float w1 = (float)(top - before * whole) / (float)whole;
  return (place){before < 0 ? 0 : (size_t)before, before + 1 < count ? (size_t)(before + 1) : n_in - 1, 1.0f - w1, w1};
}

static size_t highest(const se_paint_job *p, size_t y, size_t x) {
  float best = -INFINITY;
  size_t label = 0;
  for (size_t c = 0; c < p->classes; c++) {
    const float here = logit(p, c, y, x);
    if (here > best) best = here, label = c;
  }
  return label;
}

static uint8_t class_at(const se_paint_job *p, const uint8_t *top, place y, place x) {
  const uint8_t corner = top[y.low * p->w + x.low];
  if (top[y.low * p->w + x.high] == corner && top[y.high * p->w + x.low] == corner &&
      top[y.high * p->w + x.high] == corner) {
    return corner;
  }
  float best = -INFINITY;
  uint8_t label = 0;
  for (size_t c = 0; c < p->classes; c++) {
    const float left = y.w0 * logit(p, c, y.low, x.low) + y.w1 * logit(p, c, y.high, x.low);
    const float right = y.w0 * logit(p, c, y.low, x.high) + y.w1 * logit(p, c, y.high, x.high);
    const float here = left * x.w0 + right * x.w1;
    if (here > best) best = here, label = (uint8_t)c;
  }
  return label;
}

static uint8_t *define_mask(const job *j) {
  const se_paint_job *p = &j->paint;
  uint8_t *mask = fuzz_block(j->mask_bytes);
  if (p->labels) return memcpy(mask, p->labels, j->mask_bytes);
  uint8_t *top = fuzz_block(p->h * p->w);
  for (size_t i = 0; i < p->h * p->w; i++) top[i] = (uint8_t)highest(p, i / p->w, i % p->w);
  for (size_t y = 0; y < p->dst_h; y++) {
    const place at_y = locate(y, p->h, p->dst_h, p->top, p->view_h, p->of_h);
    for (size_t x = 0; x < p->dst_w; x++) {
      mask[y * p->dst_w + x] = class_at(p, top, at_y, locate(x, p->w, p->dst_w, p->left, p->view_w, p->of_w));
    }
  }
  free(top);
  return mask;
}

static bool on_border(const se_paint_job *p, const uint8_t *mask, size_t y, size_t x) {
  const uint8_t *here = mask + y * p->dst_w + x;
  return (y && here[-(ptrdiff_t)p->dst_w] != *here) || (y + 1 < p->dst_h && here[p->dst_w] != *here) ||
         (x && here[-1] != *here) || (x + 1 < p->dst_w && here[1] != *here);
}

/* What an overlay holds before: in place the frame, and the same bytes between rows. */
static uint8_t *new_overlay(const job *j) {
  uint8_t *overlay = fuzz_block(j->overlay_bytes);
  if (j->in_place && j->want_overlay) return memcpy(overlay, j->frame, j->overlay_bytes);
  return memset(overlay, j->before, j->overlay_bytes);
}

static void define_overlay_rows(const job *j, const uint8_t *mask, uint8_t *overlay, size_t y0, size_t y1) {
  const se_paint_job *p = &j->paint;
  for (size_t y = y0; y < y1; y++) {
    for (size_t x = 0; x < p->dst_w; x++) {
      const size_t label = mask[y * p->dst_w + x];
      const bool line = p->line_palette && on_border(p, mask, y, x);
      for (size_t c = 0; c < 3; c++) {
        const unsigned frame = j->frame[y * p->frame_stride + 3 * x + c];
        unsigned a = 0, colour = 0;
        if (label < p->classes) {
          a = (line ? p->line_alpha : p->alpha)[label];
          colour = (line ? p->line_palette : p->palette)[3 * label + c];
        }
        overlay[y * p->overlay_stride + 3 * x + c] = (uint8_t)((frame * (256 - a) + colour * a + 128) >> 8);
      }
    }
  }
}

/* ---- the calls ---- */

typedef struct {
  uint8_t *mask, *overlay;
  uint64_t *counts; /* (4, 256) */
} pictures;

static pictures new_pictures(const job *j) {
  const size_t size = 4 * 256 * sizeof(uint64_t);
  return (pictures){memset(fuzz_block(j->mask_bytes), j->before, j->mask_bytes), new_overlay(j),
                    memset(fuzz_block(size), 0, size)};
}

static void end_pictures(pictures p) {
  free(p.mask);
  free(p.overlay);
  free(p.counts);
}

static void define_counts(const job *j, const uint8_t *mask, uint64_t *counts, size_t y0, size_t y1) {
  for (size_t y = y0; y < y1; y++) {
    size_t run = j->ids ? j->rows[y] : 0;
    for (size_t x = 0; x < j->paint.dst_w; x++) {
      if (j->ids && x == j->ends[run]) run++;
      counts[256 * (j->ids ? j->ids[run] : 0) + mask[y * j->paint.dst_w + x]]++;
    }
  }
}

static pictures define(const job *j, size_t y0, size_t y1) {
  const size_t w = j->paint.dst_w;
  pictures expected = new_pictures(j);
  uint8_t *mask = define_mask(j);
  if (j->want_mask) memcpy(expected.mask + y0 * w, mask + y0 * w, (y1 - y0) * w);
  if (j->want_overlay) define_overlay_rows(j, mask, expected.overlay, y0, y1);
  if (j->want_counts) define_counts(j, mask, expected.counts, y0, y1);
  free(mask);
  return expected;
}

static se_paint_job aimed(const job *j, pictures at) {
  se_paint_job paint = j->paint;
  if (j->want_mask) paint.mask = at.mask;
  if (j->want_counts) paint.counts = at.counts;
  if (j->ids) paint.regions = &j->regions;
  if (j->want_overlay) paint.overlay = at.overlay;
  if (j->want_overlay && j->in_place) paint.frame = at.overlay;
  return paint;
}

static void check_equal(const job *j, const se_kernels *isa, pictures got, pictures expected) {
  const se_paint_job *p = &j->paint;
  for (size_t i = 0; i < j->mask_bytes; i++) {
    FUZZ_CHECK(got.mask[i] == expected.mask[i],
               "%s: y %zu x %zu is %d, not %d; %zu classes of (%zu, %zu) to (%zu, %zu), type %d", se_isa_name(isa),
               i / p->dst_w, i % p->dst_w, got.mask[i], expected.mask[i], p->classes, p->h, p->w, p->dst_h, p->dst_w,
               (int)p->type);
  }
  for (size_t i = 0; i < 4 * 256; i++) {
    FUZZ_CHECK(got.counts[i] == expected.counts[i], "%s: region %zu class %zu: %llu pixels, not %llu", se_isa_name(isa),
               i / 256, i % 256, (unsigned long long)got.counts[i], (unsigned long long)expected.counts[i]);
  }
  FUZZ_CHECK(memcmp(got.overlay, expected.overlay, j->overlay_bytes) == 0,
             "%s: overlay of %zu classes of (%zu, %zu) to (%zu, %zu), type %d", se_isa_name(isa), p->classes, p->h, p->w,
             p->dst_h, p->dst_w, (int)p->type);
}

void fuzz_paint_rows(fuzz_input in) {
  job j = make_job(&in, false);
  const size_t y0 = fuzz_between(&in, 0, j.paint.dst_h), y1 = fuzz_between(&in, y0, j.paint.dst_h);
  const pictures expected = define(&j, y0, y1);
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    const pictures got = new_pictures(&j);
    const se_paint_job paint = aimed(&j, got);
    void *tables_start, *tables = fuzz_scratch(&in, se_paint_tables(&paint), &tables_start);
    void *start, *scratch = fuzz_scratch(&in, se_paint_scratch(&paint), &start);
    se_paint_prepare(&paint, tables);
    se_paint_rows(isa, &paint, tables, y0, y1, scratch);
    check_equal(&j, isa, got, expected);
    free(tables_start);
    free(start);
    end_pictures(got);
  }
  end_pictures(expected);
  end(&j);
}

void fuzz_paint_image(fuzz_input in) {
  const size_t threads = fuzz_byte(&in) % (SE_MAX_THREADS + 4); /* 0 is the default, more than there may be is fewer */
  job j = make_job(&in, true);
  const pictures expected = define(&j, 0, j.paint.dst_h);
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    const pictures got = new_pictures(&j);
    const se_paint_job paint = aimed(&j, got);
    void *start, *workspace = fuzz_scratch(&in, se_paint_workspace(&paint, threads), &start);
    se_paint(isa, &paint, threads, workspace);
    check_equal(&j, isa, got, expected);
    free(start);
    end_pictures(got);
  }
  end_pictures(expected);
  end(&j);
}
