/* se_confidence_rows (some rows) and se_confidence_image (all, on threads): every instruction set returns the same bytes,
 * which are those of segedge.h in double precision, or next to them; buffers of exactly the stated sizes. */
#include "fuzz_input.h"
#include <math.h>

enum { MOST_LOGITS = 1 << 13, MOST_OUT = 1 << 12, MOST_WORK = 1 << 15 };

static double limited(double value) {
  return value > 1e30 ? 1e30 : value >= -1e30 ? value : -1e30;
}

static double logit(const se_paint_job *p, size_t c, size_t y, size_t x) {
  const size_t i = (c * p->h + y) * p->w + x;
  if (p->type == SE_LOGITS_F32) return limited(((const float *)p->logits)[i]);
  if (p->type == SE_LOGITS_I8) return ((const int8_t *)p->logits)[i];
  if (p->type == SE_LOGITS_U8) return ((const uint8_t *)p->logits)[i];
  const unsigned half = ((const uint16_t *)p->logits)[i], exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return fraction || half >> 15 ? -1e30 : 1e30;
  const double size = ldexp(exponent ? 1024 + fraction : fraction, exponent ? (int)exponent - 25 : -24);
  return half >> 15 ? -size : size;
}

typedef struct {
  size_t low, high;
  double weight;
} place;

static place locate(size_t i, size_t n_in, size_t n_out, size_t start, size_t length, size_t of) {
  if (!of) start = 0, length = of = 1;
  const double at = ((double)start + ((double)i + 0.5) * (double)length / (double)n_out) * (double)n_in / (double)of - 0.5;
  const double floored = floor(at);
  const size_t low = floored < 0 ? 0 : (size_t)floored;
  return (place){low, floored + 1 < (double)n_in ? (size_t)(floored + 1) : n_in - 1, at - floored};
}

/* 0 to 255, and by how much arithmetic in float may be elsewhere: large logits have no digits left for small differences. */
static double define(const se_paint_job *p, const se_confidence_map *map, size_t y, size_t x, double *slack) {
  const place py = locate(y, p->h, p->dst_h, p->top, p->view_h, p->of_h);
  const place px = locate(x, p->w, p->dst_w, p->left, p->view_w, p->of_w);
  double values[SE_MAX_CLASSES], best = -INFINITY, second = -INFINITY, sum = 0, largest = 0;
  for (size_t c = 0; c < p->classes; c++) {
    const double a = logit(p, c, py.low, px.low), b = logit(p, c, py.low, px.high);
    const double d = logit(p, c, py.high, px.low), e = logit(p, c, py.high, px.high);
    const double upper = a + (b - a) * px.weight, lower = d + (e - d) * px.weight;
    values[c] = upper + (lower - upper) * py.weight;
    largest = fmax(largest, fmax(fmax(fabs(a), fabs(b)), fmax(fabs(d), fabs(e))));
    if (values[c] > best) {
      second = best;
      best = values[c];
    } else if (values[c] > second) {
      second = values[c];
    }
  }
  for (size_t c = 0; c < p->classes; c++) sum += exp(map->scale * (values[c] - best));
  *slack = 0.502 + 255 * fmin(1, map->scale * largest * 0x1p-20);
  return 255 * (map->measure == SE_MARGIN ? 1 - exp(map->scale * (second - best)) : 1) / sum;
}

static void check(const se_paint_job *p, const se_confidence_map *map, const uint8_t *out) {
  for (size_t i = 0; i < p->dst_h * p->dst_w; i++) {
    double slack;
    const double expected = define(p, map, i / p->dst_w, i % p->dst_w, &slack);
    FUZZ_CHECK(fabs(out[i] - expected) <= slack, "pixel %zu: %u instead of %f", i, out[i], expected);
  }
}

static void run(fuzz_input *in, const se_kernels *isa, const se_paint_job *p, se_confidence_map map, const uint8_t *mask,
                const uint8_t *expected, size_t threads) {
  const size_t pixels = p->dst_h * p->dst_w;
  se_paint_job job = *p;
  uint8_t *out = fuzz_block(pixels), *changed = memcpy(fuzz_block(pixels), mask, pixels);
  job.mask = map.threshold % 2 ? changed : NULL;
  map.out = out;
  void *start;
  if (threads) {
    void *workspace = fuzz_scratch(in, se_confidence_workspace(&job, threads), &start);
    se_confidence_image(isa, &job, &map, threads, workspace);
  } else {
    const size_t y0 = fuzz_between(in, 0, p->dst_h), y1 = fuzz_between(in, y0, p->dst_h);
    memcpy(out, expected, pixels);
    memset(out + y0 * p->dst_w, 0x5a, (y1 - y0) * p->dst_w);
    se_confidence_rows(isa, &job, &map, y0, y1, fuzz_scratch(in, se_confidence_scratch(&job), &start));
    for (size_t i = 0; i < pixels; i++) {
      if (i < y0 * p->dst_w || i >= y1 * p->dst_w) FUZZ_CHECK(changed[i] == mask[i], "row outside at %zu", i);
    }
    job.mask = NULL;
  }
  FUZZ_CHECK(memcmp(out, expected, pixels) == 0, "%s differs from scalar", se_isa_name(isa));
  for (size_t i = 0; threads && i < pixels; i++) {
    FUZZ_CHECK(changed[i] == (job.mask && out[i] < map.threshold ? map.below : mask[i]), "label at %zu", i);
  }
  free(start);
  free(changed);
  free(out);
}

void fuzz_confidence(fuzz_input in) {
  se_paint_job p = {0};
  se_confidence_map map = {0};
  const uint8_t kind = fuzz_byte(&in);
  p.type = (se_logits_type)(kind % 4);
  map.measure = (se_measure)(kind / 4 % 2);
  map.scale = ldexpf(1, (int)fuzz_between(&in, 0, 12) - 8);
  map.threshold = fuzz_byte(&in), map.below = fuzz_byte(&in);
  p.classes = fuzz_byte(&in) % 4 ? fuzz_between(&in, 1, 12) : fuzz_between(&in, 1, SE_MAX_CLASSES);
  p.h = fuzz_side(&in), p.w = fuzz_side(&in), p.dst_h = fuzz_side(&in), p.dst_w = fuzz_side(&in);
  fuzz_fit(&p.h, &p.w, MOST_LOGITS / p.classes);
  fuzz_fit(&p.dst_h, &p.dst_w, MOST_WORK / p.classes < MOST_OUT ? MOST_WORK / p.classes : MOST_OUT);
  if (kind / 8 % 2) { /* letterboxed */
    p.of_h = fuzz_side(&in), p.of_w = fuzz_side(&in);
    p.top = fuzz_between(&in, 0, p.of_h - 1), p.left = fuzz_between(&in, 0, p.of_w - 1);
    p.view_h = fuzz_between(&in, 1, p.of_h - p.top), p.view_w = fuzz_between(&in, 1, p.of_w - p.left);
  }
  const size_t size = p.type == SE_LOGITS_F32 ? 4 : p.type == SE_LOGITS_F16 ? 2 : 1, pixels = p.dst_h * p.dst_w;
  uint8_t *logits = fuzz_bytes(&in, size * p.classes * p.h * p.w), *mask = fuzz_bytes(&in, pixels);
  p.logits = logits;
  uint8_t *expected = fuzz_block(pixels);
  map.out = expected;
  void *start, *scratch = fuzz_scratch(&in, se_confidence_scratch(&p), &start);
  se_confidence_rows(se_kernels_get("scalar"), &p, &map, 0, p.dst_h, scratch);
  free(start);
  check(&p, &map, expected);
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    run(&in, isa, &p, map, mask, expected, 0);
    run(&in, isa, &p, map, mask, expected, 1 + i);
  }
  free(expected);
  free(mask);
  free(logits);
}
