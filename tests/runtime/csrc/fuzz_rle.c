/* se_runs_*: the text of every label, decoded again, is where the label lies in the mask; buffers of exactly the stated
 * sizes. */
#include "fuzz_input.h"

enum { MOST = 1 << 14 };

/* One number of COCO's text; moves *at behind it. */
static int64_t number(const char *out, size_t *at, size_t end) {
  int64_t value = 0;
  for (unsigned shift = 0;; shift += 5) {
    FUZZ_CHECK(*at < end, "a number goes on past its text's end (%zu)", end);
    const int letter = out[(*at)++] - 48;
    FUZZ_CHECK(letter >= 0 && letter < 64, "%d is no letter", letter);
    value += (int64_t)(letter & 0x1f) << shift;
    if (letter & 0x20) continue;
    return letter & 0x10 ? value - ((int64_t)1 << (shift + 5)) : value;
  }
}

static void check_label(const uint8_t *mask, size_t h, size_t w, uint8_t label, const char *out, size_t at, size_t end) {
  const size_t pixels = h * w;
  size_t place = 0, counts = 0;
  int64_t last[2] = {0, 0};
  bool inside = false;
  for (; at < end; counts++, inside = !inside) {
    int64_t count = number(out, &at, end);
    if (counts > 2) count += last[0];
    FUZZ_CHECK(count >= (counts ? 1 : 0) && place + (size_t)count <= pixels, "label %u: a count of %lld", label,
               (long long)count);
    for (const size_t stop = place + (size_t)count; place < stop; place++) {
      FUZZ_CHECK((mask[place % h * w + place / h] == label) == inside, "label %u at %zu", label, place);
    }
    last[0] = last[1];
    last[1] = count;
  }
  FUZZ_CHECK(place == pixels || (!counts && !place), "label %u: %zu of %zu pixels", label, place, pixels);
}

void fuzz_rle(fuzz_input in) {
  size_t h = fuzz_side(&in), w = fuzz_side(&in), ends[256];
  fuzz_fit(&h, &w, MOST);
  uint8_t *mask = fuzz_bytes(&in, h * w);
  bool occurs[256] = {false};
  for (size_t i = 0; i < h * w; i++) occurs[mask[i]] = true;
  uint32_t *columns = fuzz_block(w * sizeof *columns);
  memset(columns, 0xa5, w * sizeof *columns);
  const size_t runs = se_runs_count(mask, h, w, columns);
  FUZZ_CHECK(runs >= 1 && runs <= h * w, "%zu runs in %zu pixels", runs, h * w);
  uint32_t *starts = fuzz_block(runs * sizeof *starts);
  uint8_t *labels = fuzz_block(runs);
  se_runs_list(mask, h, w, columns, starts, labels);
  FUZZ_CHECK(starts[0] == 0, "the first run begins at %u", starts[0]);
  for (size_t r = 1; r < runs; r++) FUZZ_CHECK(starts[r] > starts[r - 1] && labels[r] != labels[r - 1], "run %zu", r);
  se_runs_coco(starts, labels, runs, h * w, ends, NULL);
  char *out = fuzz_block(ends[255]);
  se_runs_coco(starts, labels, runs, h * w, ends, out);
  for (size_t i = 0; i < 256; i++) {
    const size_t start = i ? ends[i - 1] : 0;
    FUZZ_CHECK(occurs[i] == (ends[i] > start), "label %zu", i);
    check_label(mask, h, w, (uint8_t)i, out, start, ends[i]);
  }
  free(out);
  free(labels);
  free(starts);
  free(columns);
  free(mask);
}
