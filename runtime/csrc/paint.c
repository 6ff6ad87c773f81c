/* Logits or a mask to a mask, an overlay, counts, or any of them, one output row at a time: the rows' runs (runs.c) are
 * painted, then mixed with the frame. All rows through one row of cells share their runs: what has one class is painted once
 * for all of them. */
#include "se_convert.h"
#include "se_rows.h"
#include "se_scratch.h"
#include <stddef.h>
#include <string.h>

static se_tables lay_tables(const se_paint_job *job, void *memory) {
  se_tables tables = {0};
  se_scratch scratch = se_scratch_open(memory);
  const size_t columns = job->logits ? job->dst_w + PAD : 0;
  tables.low = se_scratch_take(&scratch, columns * sizeof(int32_t));
  tables.high = se_scratch_take(&scratch, columns * sizeof(int32_t));
  tables.wx = se_scratch_take(&scratch, columns * sizeof(float));
  tables.cell_start = se_scratch_take(&scratch, job->logits ? (job->w + 2) * sizeof(int32_t) : 0);
  tables.fill = se_scratch_take(&scratch, job->overlay ? (job->classes + 1) * sizeof(se_ink) : 0);
  tables.line = se_scratch_take(&scratch, job->overlay && job->line_palette ? (job->classes + 1) * sizeof(se_ink) : 0);
  tables.size = se_scratch_size(&scratch);
  return tables;
}

static se_rows lay_rows(const se_paint_job *job, void *memory) {
  se_rows rows = {0};
  se_scratch scratch = se_scratch_open(memory);
  const size_t labels = job->logits || job->counts ? job->dst_w + PAD : 0, w = job->logits ? job->w : 0;
  rows.corner[0] = se_scratch_take(&scratch, w);
  rows.corner[1] = se_scratch_take(&scratch, w);
  rows.runs = se_scratch_take(&scratch, job->logits ? (w + 1) * sizeof(se_run) : 0);
  /* A few classes meet at a border; a run whose list finds no room here is given all of them. */
  rows.classes_size = job->logits ? job->classes + 8 * (w + 1) : 0;
  rows.classes = se_scratch_take(&scratch, rows.classes_size);
  rows.labels = se_scratch_take(&scratch, labels);
  rows.mixed = se_scratch_take(&scratch, labels);
  for (size_t i = 0; i < 3; i++) rows.window[i] = se_scratch_take(&scratch, job->line_palette ? labels : 0);
  rows.marks = se_scratch_take(&scratch, job->line_palette ? job->dst_w : 0);
  const size_t inks = job->overlay ? (3 * job->dst_w + 3 * STEP) * sizeof(uint16_t) : 0;
  rows.keep = se_scratch_take(&scratch, inks);
  rows.add = se_scratch_take(&scratch, inks);
  rows.counts = se_scratch_take(&scratch, job->counts ? se_region_count(job) * 256 * sizeof(uint32_t) : 0);
  rows.size = se_scratch_size(&scratch);
  return rows;
}

size_t se_paint_tables(const se_paint_job *job) {
  return lay_tables(job, NULL).size;
}

size_t se_paint_scratch(const se_paint_job *job) {
  return lay_rows(job, NULL).size;
}

static se_view view_y(const se_paint_job *job) {
  if (!job->of_h) return (se_view){0, 1, 1};
  return (se_view){(int32_t)job->top, (int32_t)job->view_h, (int32_t)job->of_h};
}

static se_view view_x(const se_paint_job *job) {
  if (!job->of_w) return (se_view){0, 1, 1};
  return (se_view){(int32_t)job->left, (int32_t)job->view_w, (int32_t)job->of_w};
}

/* se_locate_view of every column, without its divisions: from one column to the next `part` grows by one step. */
static void make_columns(const se_tables *tables, const se_paint_job *job) {
  const size_t w = job->w, dst_w = job->dst_w;
  const se_view view = view_x(job);
  const se_position64 first = se_locate_view(0, (int32_t)w, (int32_t)dst_w, view);
  const int64_t whole = first.whole, step = 2 * (int64_t)view.length * (int64_t)w;
  int64_t part = first.part;
  int32_t cell = first.cell;
  size_t started = 0;
  for (size_t x = 0; x < dst_w; x++, part += step) {
    for (; part >= whole; part -= whole) cell++;
    while (started <= (size_t)cell) tables->cell_start[started++] = (int32_t)x;
    tables->low[x] = cell > 0 ? cell - 1 : 0;
    tables->high[x] = cell < (int32_t)w ? cell : (int32_t)w - 1;
    tables->wx[x] = se_weight64_f32(part, whole);
  }
  while (started < w + 2) tables->cell_start[started++] = (int32_t)dst_w;
  for (size_t x = dst_w; x < dst_w + PAD; x++) { /* vectors run past the end: give them something valid */
    tables->low[x] = tables->low[dst_w - 1];
    tables->high[x] = tables->high[dst_w - 1];
    tables->wx[x] = tables->wx[dst_w - 1];
  }
}

/* frame * (256 - alpha) + colour * alpha + 128, as se_blend_u8. The last ink is for labels without a colour. */
static void make_inks(se_ink *inks, const uint8_t *palette, const uint16_t *alpha, size_t classes) {
  for (size_t c = 0; c <= classes; c++) {
    const unsigned a = c < classes ? alpha[c] : 0;
    for (size_t i = 0; i < 3 * STEP; i++) {
      inks[c].keep[i] = (uint16_t)(256 - a);
      inks[c].add[i] = (uint16_t)((c < classes ? palette[3 * c + i % 3] * a : 0) + 128);
    }
  }
}

void se_paint_prepare(const se_paint_job *job, void *memory) {
  const se_tables tables = lay_tables(job, memory);
  if (job->logits) make_columns(&tables, job);
  if (!job->overlay) return;
  make_inks(tables.fill, job->palette, job->alpha, job->classes);
  if (job->line_palette) make_inks(tables.line, job->line_palette, job->line_alpha, job->classes);
}

static void paint_run(const se_painter *self, const se_ink *ink, size_t x0, size_t x1) {
  uint16_t *keep = self->rows.keep, *add = self->rows.add;
  for (size_t x = x0; x < x1; x += STEP) memcpy(add + 3 * x, ink->add, sizeof ink->add);
  if (!self->each) return;
  for (size_t x = x0; x < x1; x += STEP) memcpy(keep + 3 * x, ink->keep, sizeof ink->keep);
}

/* Four elements a pixel, of which the next pixel takes one back, are a load and a store; three are two of each. */
static inline void spread(uint16_t *row, const se_ink *inks, size_t offset, const uint8_t *labels, size_t x0, size_t x1) {
  for (size_t x = x0; x < x1; x++) {
    const unsigned char *ink = (const unsigned char *)(inks + labels[x]) + offset;
    memcpy(row + 3 * x, ink, (x + 1 < x1 ? 4 : 3) * sizeof *row);
  }
}

static void paint_pixels(const se_painter *self, const se_ink *inks, const uint8_t *labels, size_t x0, size_t x1) {
  uint16_t *keep = self->rows.keep, *add = self->rows.add;
  spread(add, inks, offsetof(se_ink, add), labels, x0, x1);
  if (self->each) spread(keep, inks, offsetof(se_ink, keep), labels, x0, x1);
}

/* Brings rows.labels to row y, and rows.add and rows.keep if `paint`. Rows come in ascending order. */
static void next_row(se_painter *self, size_t y, bool want_labels, bool paint) {
  const se_paint_job *job = self->job;
  se_rows *rows = &self->rows;
  const se_position64 p = se_locate_view((int32_t)y, (int32_t)job->h, (int32_t)job->dst_h, view_y(job));
  const bool fresh = p.cell != self->cell;
  if (fresh) {
    se_enter_cells(self, p);
    size_t x = 0;
    for (size_t r = 0; r < self->run_count; r++) {
      const size_t end = (size_t)rows->runs[r].end;
      const int32_t label = rows->runs[r].label;
      if (label != MIXED) {
        for (size_t at = x; want_labels && at < end; at += STEP) memset(rows->labels + at, label, STEP);
        if (paint) paint_run(self, self->tables.fill + label, x, end);
      }
      x = end;
    }
  }
  size_t x = 0;
  for (size_t r = 0; r < self->run_count; r++) {
    const size_t end = (size_t)rows->runs[r].end;
    if (rows->runs[r].label == MIXED) {
      se_lerp_run(self, rows->runs + r, p, x);
      if (want_labels) memcpy(rows->labels + x, rows->mixed + x, end - x);
      if (paint) paint_pixels(self, self->tables.fill, rows->mixed, x, end);
    }
    x = end;
  }
}

/* Whether STEP labels from here on are one. */
static bool uniform(const uint8_t *labels) {
  uint64_t first, second;
  memcpy(&first, labels, sizeof first);
  memcpy(&second, labels + sizeof first, sizeof second);
  return first == labels[0] * UINT64_C(0x0101010101010101) && second == first;
}

/* rows.add and rows.keep of a row of given labels. */
static void paint_labels(const se_painter *self, const uint8_t *labels) {
  const size_t w = self->job->dst_w, classes = self->job->classes;
  uint16_t *keep = self->rows.keep, *add = self->rows.add;
  for (size_t x = 0; x < w;) {
    const se_ink *ink = self->tables.fill + (labels[x] < classes ? labels[x] : classes);
    if (x + STEP <= w && uniform(labels + x)) { /* real masks are long runs */
      memcpy(add + 3 * x, ink->add, sizeof ink->add);
      memcpy(keep + 3 * x, ink->keep, sizeof ink->keep);
      x += STEP;
    } else {
      memcpy(add + 3 * x, ink->add, 3 * sizeof *add);
      memcpy(keep + 3 * x, ink->keep, 3 * sizeof *keep);
      x++;
    }
  }
}

/* Over it, the pixels that have a neighbour of another class. */
static void paint_lines(const se_painter *self, const uint8_t *above, const uint8_t *labels, const uint8_t *below) {
  const size_t w = self->job->dst_w, classes = self->job->classes;
  uint8_t *mark = self->rows.marks;
  for (size_t x = 0; x < w; x++) mark[x] = (labels[x] ^ above[x]) | (labels[x] ^ below[x]); /* branch-free: vectors */
  for (size_t x = 1; x < w; x++) mark[x] |= labels[x] ^ labels[x - 1];
  for (size_t x = 1; x < w; x++) mark[x - 1] |= labels[x] ^ labels[x - 1];
  for (size_t x = 0; x < w; x++) {
    uint64_t eight;
    if (x + sizeof eight <= w && (memcpy(&eight, mark + x, sizeof eight), eight == 0)) {
      x += sizeof eight - 1;
    } else if (mark[x]) {
      const se_ink *ink = self->tables.line + (labels[x] < classes ? labels[x] : classes);
      memcpy(self->rows.add + 3 * x, ink->add, 3 * sizeof(uint16_t));
      memcpy(self->rows.keep + 3 * x, ink->keep, 3 * sizeof(uint16_t));
    }
  }
}

/* Asks for the row after y, which then comes from memory while this one is computed. */
static void ask_for_next(const se_paint_job *job, size_t y) {
  if (y + 1 == job->dst_h) return;
  const uint8_t *overlay = job->overlay + (y + 1) * job->overlay_stride;
  for (size_t i = 0; i < 3 * job->dst_w; i += SE_ALIGN) __builtin_prefetch(overlay + i, 1, 2);
  if (job->source) return; /* planes are read ahead by the CPU itself */
  const uint8_t *frame = job->frame + (y + 1) * job->frame_stride;
  for (size_t i = 0; i < 3 * job->dst_w; i += SE_ALIGN) __builtin_prefetch(frame + i, 0, 2);
}

static void mix_row(const se_painter *self, size_t y) {
  const se_paint_job *job = self->job;
  ask_for_next(job, y);
  uint8_t *overlay = job->overlay + y * job->overlay_stride;
  const uint8_t *frame = overlay;
  if (job->source) {
    se_convert_row(self->isa, job->source, &self->colour, y, 0, job->dst_w, overlay);
  } else {
    frame = job->frame + y * job->frame_stride;
  }
  if (self->each) {
    self->isa->u8_u16_mix_each(frame, self->rows.keep, self->rows.add, 3 * job->dst_w, overlay);
  } else {
    self->isa->u8_u16_mix(frame, self->tables.fill->keep[0], self->rows.add, 3 * job->dst_w, overlay);
  }
}

/* Labels of row y for contours: kept in the window's slot of that row, for the logits' are overwritten by the next. */
static const uint8_t *keep_labels(se_painter *self, size_t y) {
  const se_paint_job *job = self->job;
  if (job->labels) return job->labels + y * job->dst_w;
  next_row(self, y, true, false);
  return memcpy(self->rows.window[y % 3], self->rows.labels, job->dst_w);
}

/* Whether a row of the job's own labels may be read past its end: other rows follow. */
static bool rows_follow(const se_paint_job *job, size_t y) {
  return (job->dst_h - 1 - y) * job->dst_w >= PAD;
}

static void paint_with_lines(se_painter *self, size_t y0, size_t y1) {
  const se_paint_job *job = self->job;
  const uint8_t *above = NULL, *here = NULL, *below = NULL;
  for (size_t y = y0; y < y1; y++) {
    if (y == y0) {
      above = y ? keep_labels(self, y - 1) : NULL;
      here = keep_labels(self, y);
    } else {
      above = here;
      here = below;
    }
    below = y + 1 < job->dst_h ? keep_labels(self, y + 1) : here;
    if (job->mask) memcpy(job->mask + y * job->dst_w, here, job->dst_w);
    if (job->counts) se_count_labels(self, y, here, !job->labels || rows_follow(job, y));
    paint_labels(self, here);
    paint_lines(self, above ? above : here, here, below);
    mix_row(self, y);
  }
}

static bool alphas_differ(const se_paint_job *job) {
  for (size_t c = 1; c < job->classes; c++) {
    if (job->alpha[c] != job->alpha[0]) return true;
  }
  return false;
}

void se_paint_rows(const se_kernels *isa, const se_paint_job *job, const void *tables, size_t y0, size_t y1, void *scratch) {
  se_painter self = {.isa = isa, .job = job, .cell = -1, .labelled = {-1, -1}};
  self.tables = lay_tables(job, (void *)(uintptr_t)tables); /* read only from here on */
  self.rows = lay_rows(job, scratch);
  if (job->source) self.colour = se_colour(job->source);
  for (size_t c = 0; job->logits && c < job->classes; c++) self.rows.classes[c] = (uint8_t)c;
  self.each = job->overlay && (job->labels || job->line_palette || alphas_differ(job));
  if (job->counts) se_count_begin(&self);
  if (job->overlay && job->line_palette) {
    paint_with_lines(&self, y0, y1);
    if (job->counts) se_count_end(&self);
    return;
  }
  for (size_t y = y0; y < y1; y++) {
    if (job->labels) {
      const uint8_t *labels = job->labels + y * job->dst_w;
      if (job->counts) se_count_labels(&self, y, labels, rows_follow(job, y));
      if (job->overlay) paint_labels(&self, labels);
    } else {
      next_row(&self, y, job->mask != NULL, job->overlay != NULL);
      if (job->counts) se_count_runs(&self, y);
    }
    if (job->mask) memcpy(job->mask + y * job->dst_w, self.rows.labels, job->dst_w);
    if (job->overlay) mix_row(&self, y);
  }
  if (job->counts) se_count_end(&self);
}
