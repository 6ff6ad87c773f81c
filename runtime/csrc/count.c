/* Counts of pixels per region and class: a row's runs of classes are cut at the ends of its runs of regions. What has one
 * class is added as a whole; only where classes meet are pixels looked at, and those were computed just before. */
#include "se_rows.h"
#include <string.h>

/* Where in a row's regions a count is. */
typedef struct {
  const se_regions *regions; /* NULL: one */
  size_t run, end;           /* the current run of regions, and the first pixel after it */
  uint32_t *counts;          /* its region's */
} place;

static place first_place(const se_painter *self, size_t y) {
  const se_regions *regions = self->job->regions;
  if (!regions) return (place){NULL, 0, self->job->dst_w, self->rows.counts};
  const size_t run = regions->rows[y];
  return (place){regions, run, regions->ends[run], self->rows.counts + 256 * (size_t)regions->ids[run]};
}

/* Counts pixels x0 .. x1 - 1: of `label`, or, where it is MIXED, those of labels. */
static void count_stretch(const se_painter *self, place *at, size_t x0, size_t x1, int32_t label, const uint8_t *labels) {
  for (size_t x = x0; x < x1;) {
    if (x == at->end) {
      at->run++;
      at->end = at->regions->ends[at->run];
      at->counts = self->rows.counts + 256 * (size_t)at->regions->ids[at->run];
    }
    const size_t stop = x1 < at->end ? x1 : at->end;
    if (label == MIXED) {
      self->isa->u8_u32_count(labels + x, stop - x, at->counts);
    } else {
      at->counts[label] += (uint32_t)(stop - x);
    }
    x = stop;
  }
}

/* Values that can occur: a network's classes, or those of any mask. */
static size_t values(const se_paint_job *job) {
  return job->logits ? job->classes : 256;
}

void se_count_begin(const se_painter *self) {
  const size_t size = values(self->job) * sizeof *self->rows.counts;
  for (size_t i = 0; i < se_region_count(self->job); i++) memset(self->rows.counts + 256 * i, 0, size);
}

void se_count_runs(const se_painter *self, size_t y) {
  place at = first_place(self, y);
  size_t x = 0;
  for (size_t r = 0; r < self->run_count; r++) {
    const se_run *run = self->rows.runs + r;
    count_stretch(self, &at, x, (size_t)run->end, run->label, self->rows.mixed);
    x = (size_t)run->end;
  }
}

void se_count_labels(const se_painter *self, size_t y, const uint8_t *labels, bool padded) {
  const size_t w = self->job->dst_w;
  if (!padded) labels = memcpy(self->rows.labels, labels, w);
  place at = first_place(self, y);
  count_stretch(self, &at, 0, w, MIXED, labels);
}

void se_count_end(const se_painter *self) {
  const size_t regions = se_region_count(self->job), size = values(self->job);
  for (size_t i = 0; i < 256 * regions; i += 256) {
    for (size_t k = i; k < i + size; k++) {
      if (self->rows.counts[k]) __atomic_fetch_add(self->job->counts + k, self->rows.counts[k], __ATOMIC_RELAXED);
    }
  }
}
