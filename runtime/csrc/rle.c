/* The runs of equal labels of a mask, column by column, and their text in COCO's form. Changes from one row to the next are
 * rare, so rows are compared eight pixels at a time, twice: to count the runs, and to place them. One file for all
 * instruction sets: a word of eight is already bound by memory. */
#include "segedge.h"
#include <stdbool.h>
#include <string.h>

enum { WORD = 8 };

typedef struct {
  const uint8_t *mask;
  size_t h, w;
  uint32_t *columns;
  uint32_t *starts; /* NULL: count only */
  uint8_t *labels;
} walk;

static inline void change(const walk *self, size_t x, size_t y) {
  const uint32_t at = self->columns[x]++;
  if (!self->starts) return;
  self->starts[at] = (uint32_t)(x * self->h + y);
  self->labels[at] = self->mask[y * self->w + x];
}

/* Every place where a run begins. */
static void walk_mask(const walk *self) {
  const uint8_t *row = self->mask, *bottom = self->mask + (self->h - 1) * self->w;
  change(self, 0, 0);
  for (size_t x = 1; x < self->w; x++) { /* a run goes on from one column's foot to the next one's head */
    if (row[x] != bottom[x - 1]) change(self, x, 0);
  }
  for (size_t y = 1; y < self->h; y++) {
    const uint8_t *above = row;
    row += self->w;
    size_t x = 0;
    for (; x + WORD <= self->w; x += WORD) {
      uint64_t a, b;
      memcpy(&a, above + x, WORD);
      memcpy(&b, row + x, WORD);
      for (size_t i = 0; a != b && i < WORD; i++) {
        if (above[x + i] != row[x + i]) change(self, x + i, y);
      }
    }
    for (; x < self->w; x++) {
      if (above[x] != row[x]) change(self, x, y);
    }
  }
}

size_t se_runs_count(const uint8_t *mask, size_t h, size_t w, uint32_t *columns) {
  memset(columns, 0, w * sizeof *columns);
  walk_mask(&(walk){.mask = mask, .h = h, .w = w, .columns = columns});
  uint32_t runs = 0;
  for (size_t x = 0; x < w; x++) {
    const uint32_t count = columns[x];
    columns[x] = runs;
    runs += count;
  }
  return runs;
}

void se_runs_list(const uint8_t *mask, size_t h, size_t w, uint32_t *columns, uint32_t *starts, uint8_t *labels) {
  walk_mask(&(walk){.mask = mask, .h = h, .w = w, .columns = columns, .starts = starts, .labels = labels});
}

/* One label's text so far. */
typedef struct {
  size_t length;
  uint32_t counts;  /* up to 3: the first three are written as they are */
  uint32_t last[2]; /* the last two, the older one first */
  uint32_t end;     /* of the label's last run */
} line;

/* Letters of 5 bits, lowest first, from '0' on; bit 5 says that more follow, bit 4 of the last one is the sign. */
static void put(line *self, uint32_t count, char *out) {
  int64_t left = self->counts < 3 ? count : (int64_t)count - self->last[0];
  if (self->counts < 3) self->counts++;
  self->last[0] = self->last[1];
  self->last[1] = count;
  bool more = true;
  while (more) {
    const int letter = (int)(left & 0x1f);
    left = (left - letter) / 32;
    more = left != (letter & 0x10 ? -1 : 0);
    if (out) out[self->length] = (char)(48 + letter + (more ? 0x20 : 0));
    self->length++;
  }
}

void se_runs_coco(const uint32_t *starts, const uint8_t *labels, size_t runs, size_t pixels, size_t *ends, char *out) {
  line lines[256] = {0};
  for (size_t i = 1; out && i < 256; i++) lines[i].length = ends[i - 1];
  for (size_t r = 0; r < runs; r++) {
    line *l = lines + labels[r];
    const uint32_t end = r + 1 < runs ? starts[r + 1] : (uint32_t)pixels;
    put(l, starts[r] - l->end, out);
    put(l, end - starts[r], out);
    l->end = end;
  }
  size_t total = 0;
  for (size_t i = 0; i < 256; i++) {
    line *l = lines + i;
    if (l->end && l->end < pixels) put(l, (uint32_t)pixels - l->end, out);
    total = out ? l->length : total + l->length;
    if (!out) ends[i] = total;
  }
}
