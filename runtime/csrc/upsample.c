/* Logits to mask and overlay, one output row at a time, and the blend of a given mask.
 *
 * The logits' pixel centres cut the image into cells. Where a cell's four corners agree on the highest class, that is the
 * class of all its pixels (segedge.h says why), so a row is a short list of runs: a class, or "interpolate". */
#include "se_kernels.h"
#include "se_pixel.h"
#include "se_scratch.h"
#include <string.h>

/* Runs are painted in steps of 16 pixels from left to right; what goes past a run's end is painted over by the next, and
 * past the row's end lies padding. 48 bytes: 16 pixels, three whole vectors. */
enum { STEP = 16, PATTERN = 3 * STEP, MIXED = -1 };

typedef struct {
  int32_t end;   /* first pixel after the run */
  int32_t label; /* class, or MIXED */
} se_run;

typedef struct {
  int32_t *low, *high; /* per output column: columns of the logits */
  float *wx;           /* and the weight of `high` */
  int32_t *cell_start; /* per cell: its first output column; w + 1 cells and an end */
  uint8_t *corner[2];  /* highest class of the logits' rows above and below the current row of cells */
  se_run *runs;
  uint8_t *labels;   /* one output row */
  uint8_t *colours;  /* one output row, BGR */
  uint8_t *patterns; /* per class: its colour, STEP times */
  size_t scratch_size;
} se_plan;

static se_plan make_plan(size_t w, size_t dst_w, size_t classes, void *memory) {
  se_plan plan;
  se_scratch scratch = se_scratch_open(memory);
  const size_t columns = dst_w + SE_LABEL_PAD;
  plan.low = se_scratch_take(&scratch, columns * sizeof(int32_t));
  plan.high = se_scratch_take(&scratch, columns * sizeof(int32_t));
  plan.wx = se_scratch_take(&scratch, columns * sizeof(float));
  plan.cell_start = se_scratch_take(&scratch, (w + 2) * sizeof(int32_t));
  plan.corner[0] = se_scratch_take(&scratch, w);
  plan.corner[1] = se_scratch_take(&scratch, w);
  plan.runs = se_scratch_take(&scratch, (w + 1) * sizeof(se_run));
  plan.labels = se_scratch_take(&scratch, columns);
  plan.colours = se_scratch_take(&scratch, 3 * dst_w + PATTERN);
  plan.patterns = se_scratch_take(&scratch, classes * PATTERN);
  plan.scratch_size = se_scratch_size(&scratch);
  return plan;
}

static void make_columns(const se_plan *plan, size_t w, size_t dst_w) {
  size_t cell = 0;
  for (size_t x = 0; x < dst_w; x++) {
    const se_position p = se_locate((int32_t)x, (int32_t)w, (int32_t)dst_w);
    plan->low[x] = p.low;
    plan->high[x] = p.high;
    plan->wx[x] = se_weight_f32(p);
    while (cell <= (size_t)p.cell) plan->cell_start[cell++] = (int32_t)x;
  }
  while (cell < w + 2) plan->cell_start[cell++] = (int32_t)dst_w;
  for (size_t x = dst_w; x < dst_w + SE_LABEL_PAD; x++) { /* vectors run past the end: give them something valid */
    plan->low[x] = plan->low[dst_w - 1];
    plan->high[x] = plan->high[dst_w - 1];
    plan->wx[x] = plan->wx[dst_w - 1];
  }
}

static void make_patterns(uint8_t *patterns, const uint8_t *palette, size_t classes) {
  for (size_t i = 0; i < classes * STEP; i++) memcpy(patterns + 3 * i, palette + i / STEP * 3, 3);
}

/* Lists the runs of one row of cells; returns their number. */
static size_t make_runs(const se_plan *plan, size_t w) {
  const uint8_t *above = plan->corner[0], *below = plan->corner[1];
  size_t count = 0;
  for (size_t cell = 0; cell <= w; cell++) {
    const int32_t end = plan->cell_start[cell + 1];
    if (end == plan->cell_start[cell]) continue; /* no pixel of this size lies in it */
    const size_t left = cell ? cell - 1 : 0, right = cell < w ? cell : w - 1;
    const uint8_t first = above[left];
    const bool agree = above[right] == first && below[left] == first && below[right] == first;
    const int32_t label = agree ? first : MIXED;
    if (count && plan->runs[count - 1].label == label) {
      plan->runs[count - 1].end = end;
    } else {
      plan->runs[count++] = (se_run){end, label};
    }
  }
  return count;
}

static void paint_pixels(uint8_t *colours, const uint8_t *patterns, const uint8_t *labels, size_t x0, size_t x1) {
  for (size_t x = x0; x < x1; x++) memcpy(colours + 3 * x, patterns + PATTERN * labels[x], 4); /* 4: one store */
}

static void paint_run(uint8_t *colours, const uint8_t *pattern, size_t x0, size_t x1) {
  for (size_t x = x0; x < x1; x += STEP) memcpy(colours + 3 * x, pattern, PATTERN);
}

/* mask and overlay may each be NULL. */
static void upsample(const se_kernels *isa, const float *logits, size_t classes, size_t h, size_t w, const uint8_t *palette,
                     const uint8_t *frame, size_t frame_stride, unsigned alpha, uint8_t *overlay, size_t overlay_stride,
                     uint8_t *mask, size_t dst_h, size_t dst_w, size_t y0, size_t y1, void *scratch) {
  se_plan plan = make_plan(w, dst_w, classes, scratch);
  make_columns(&plan, w, dst_w);
  if (overlay) make_patterns(plan.patterns, palette, classes);

  const size_t plane = h * w;
  size_t run_count = 0;
  int32_t cell = -1, labelled[2] = {-1, -1}; /* the logits' rows that corner[0] and corner[1] hold */
  for (size_t y = y0; y < y1; y++) {
    const se_position p = se_locate((int32_t)y, (int32_t)h, (int32_t)dst_h);
    const float *above = logits + (size_t)p.low * w, *below = logits + (size_t)p.high * w;
    if (p.cell != cell) {
      cell = p.cell;
      if (p.low == labelled[1]) { /* the next row of cells: what was below is above now */
        uint8_t *swapped = plan.corner[0];
        plan.corner[0] = plan.corner[1];
        plan.corner[1] = swapped;
      } else if (p.low != labelled[0]) {
        isa->f32_u8_argmax(above, plane, classes, w, plan.corner[0]);
      }
      isa->f32_u8_argmax(below, plane, classes, w, plan.corner[1]);
      labelled[0] = p.low;
      labelled[1] = p.high;
      run_count = make_runs(&plan, w);
    }
    const float wy = se_weight_f32(p);
    size_t x = 0;
    for (size_t r = 0; r < run_count; r++) {
      const size_t end = (size_t)plan.runs[r].end;
      const int32_t label = plan.runs[r].label;
      if (label == MIXED) {
        isa->f32_u8_lerp_argmax(above, below, plane, classes, w, wy, plan.low, plan.high, plan.wx, x, end, plan.labels);
        if (overlay) paint_pixels(plan.colours, plan.patterns, plan.labels, x, end);
      } else {
        if (mask) {
          for (size_t at = x; at < end; at += STEP) memset(plan.labels + at, label, STEP);
        }
        if (overlay) paint_run(plan.colours, plan.patterns + PATTERN * (size_t)label, x, end);
      }
      x = end;
    }
    if (mask) memcpy(mask + y * dst_w, plan.labels, dst_w);
    if (overlay) isa->u8_blend(frame + y * frame_stride, plan.colours, 3 * dst_w, alpha, overlay + y * overlay_stride);
  }
}

size_t se_upsample_scratch(size_t w, size_t dst_w, size_t classes) {
  return make_plan(w, dst_w, classes, NULL).scratch_size;
}

void se_upsample_argmax(const se_kernels *isa, const float *logits, size_t classes, size_t h, size_t w, uint8_t *mask,
                        size_t dst_h, size_t dst_w, size_t y0, size_t y1, void *scratch) {
  upsample(isa, logits, classes, h, w, NULL, NULL, 0, 0, NULL, 0, mask, dst_h, dst_w, y0, y1, scratch);
}

void se_upsample_overlay(const se_kernels *isa, const float *logits, size_t classes, size_t h, size_t w,
                         const uint8_t *palette, const uint8_t *frame, size_t frame_stride, unsigned alpha, uint8_t *overlay,
                         size_t overlay_stride, uint8_t *mask, size_t dst_h, size_t dst_w, size_t y0, size_t y1,
                         void *scratch) {
  upsample(isa, logits, classes, h, w, palette, frame, frame_stride, alpha, overlay, overlay_stride, mask, dst_h, dst_w, y0,
           y1, scratch);
}

size_t se_blend_scratch(size_t w, size_t classes) {
  return make_plan(0, w, classes, NULL).scratch_size;
}

void se_blend(const se_kernels *isa, const uint8_t *mask, const uint8_t *palette, size_t classes, const uint8_t *frame,
              size_t frame_stride, unsigned alpha, uint8_t *overlay, size_t overlay_stride, size_t h, size_t w, size_t y0,
              size_t y1, void *scratch) {
  (void)h;
  const se_plan plan = make_plan(0, w, classes, scratch);
  make_patterns(plan.patterns, palette, classes);
  for (size_t y = y0; y < y1; y++) {
    const uint8_t *labels = mask + y * w, *source = frame + y * frame_stride;
    for (size_t x = 0; x < w;) {
      const uint8_t label = labels[x];
      /* Real masks are long runs: 16 equal labels at once where there are 16. */
      const bool run = x + STEP <= w && memcmp(labels + x, labels + x + 1, STEP - 1) == 0;
      const size_t count = run ? STEP : 1;
      if (label < classes) {
        memcpy(plan.colours + 3 * x, plan.patterns + PATTERN * label, run ? PATTERN : 3);
      } else {
        memcpy(plan.colours + 3 * x, source + 3 * x, 3 * count); /* a frame blended with itself is itself */
      }
      x += count;
    }
    isa->u8_blend(source, plan.colours, 3 * w, alpha, overlay + y * overlay_stride);
  }
}
