/* Which classes a row can have, and where.
 *
 * The logits' pixel centres cut the image into cells. Where a cell's four corners agree on the highest class, that is the
 * class of all its pixels (segedge.h says why), so a row is a short list of runs: a class, or "interpolate", and then among
 * which classes. */
#include "se_rows.h"
#include <float.h>
#include <math.h>
#include <string.h>

static void argmax_row(const se_painter *self, size_t row, uint8_t *out) {
  const se_paint_job *job = self->job;
  const size_t plane = job->h * job->w, at = row * job->w;
  switch (job->type) {
  case SE_LOGITS_F16:
    self->isa->f16_u8_argmax((const uint16_t *)job->logits + at, plane, job->classes, job->w, out);
    break;
  case SE_LOGITS_I8:
    self->isa->i8_u8_argmax((const int8_t *)job->logits + at, plane, job->classes, job->w, out);
    break;
  case SE_LOGITS_U8:
    self->isa->u8_u8_argmax((const uint8_t *)job->logits + at, plane, job->classes, job->w, out);
    break;
  default:
    self->isa->f32_u8_argmax((const float *)job->logits + at, plane, job->classes, job->w, out);
  }
}

void se_lerp_run(const se_painter *self, const se_run *run, se_position64 p, size_t x0) {
  const se_paint_job *job = self->job;
  const se_tables *t = &self->tables;
  const size_t plane = job->h * job->w, above = (size_t)p.low * job->w, below = (size_t)p.high * job->w;
  const float wy = se_weight64_f32(p.part, p.whole);
  const size_t x1 = (size_t)run->end;
  uint8_t *out = self->rows.mixed;
#define SE_LERP(name, type)                                                                                                 \
  self->isa->name((const type *)job->logits + above, (const type *)job->logits + below, plane, run->classes, run->count,    \
                  job->w, wy, t->low, t->high, t->wx, x0, x1, out)
  switch (job->type) {
  case SE_LOGITS_F16:
    SE_LERP(f16_u8_lerp_argmax, uint16_t);
    break;
  case SE_LOGITS_I8:
    SE_LERP(i8_u8_lerp_argmax, int8_t);
    break;
  case SE_LOGITS_U8:
    SE_LERP(u8_u8_lerp_argmax, uint8_t);
    break;
  default:
    SE_LERP(f32_u8_lerp_argmax, float);
  }
#undef SE_LERP
}

/* ---- which classes can win in a run ---- */

/* Between corners a value leaves their range by rounding only: weights that sum to 1 within an ulp, and three roundings
 * along each axis, make less than 8 ulps (2^-21) of the largest corner, or next to nothing among subnormals. Four times
 * that. */
static float rounding(float low, float high) {
  const float largest = fabsf(low) > fabsf(high) ? fabsf(low) : fabsf(high);
  return largest * 0x1p-19f + FLT_MIN;
}

static inline __attribute__((always_inline)) float value_of(se_logits_type type, const void *logits, size_t i) {
  switch (type) {
  case SE_LOGITS_F16:
    return se_f16_to_f32(((const uint16_t *)logits)[i]);
  case SE_LOGITS_I8:
    return ((const int8_t *)logits)[i];
  case SE_LOGITS_U8:
    return ((const uint8_t *)logits)[i];
  default:
    return ((const float *)logits)[i];
  }
}

/* Marks the classes that may be highest somewhere in a cell: not those which everywhere stay below another. Exact: what is
 * left out is lower than that other one in the arithmetic that segedge.h states, so leaving it out changes no result. */
static inline __attribute__((always_inline)) void mark_cell(se_logits_type type, const se_paint_job *job, se_position64 p,
                                                            size_t left, size_t right, uint8_t *marks) {
  const size_t plane = job->h * job->w, above = (size_t)p.low * job->w, below = (size_t)p.high * job->w;
  float highest[SE_MAX_CLASSES], bar = -INFINITY;
  for (size_t c = 0; c < job->classes; c++) {
    const float v[4] = {
        value_of(type, job->logits, c * plane + above + left), value_of(type, job->logits, c * plane + above + right),
        value_of(type, job->logits, c * plane + below + left), value_of(type, job->logits, c * plane + below + right)};
    const float low0 = v[0] < v[1] ? v[0] : v[1], low1 = v[2] < v[3] ? v[2] : v[3], low = low0 < low1 ? low0 : low1;
    const float high0 = v[0] > v[1] ? v[0] : v[1], high1 = v[2] > v[3] ? v[2] : v[3], high = high0 > high1 ? high0 : high1;
    const float sure = low - rounding(low, high); /* what the class reaches everywhere in the cell */
    const bool finite = (v[0] - v[0]) + (v[1] - v[1]) + (v[2] - v[2]) + (v[3] - v[3]) == 0; /* infinity - infinity is NaN */
    highest[c] = finite ? high + rounding(low, high) : INFINITY;                            /* left to the arithmetic */
    if (finite && sure > bar) bar = sure;
  }
  for (size_t c = 0; c < job->classes; c++) marks[c] |= highest[c] >= bar;
}

static void mark_classes(const se_paint_job *job, se_position64 p, size_t left, size_t right, uint8_t *marks) {
  switch (job->type) {
  case SE_LOGITS_F16:
    mark_cell(SE_LOGITS_F16, job, p, left, right, marks);
    break;
  case SE_LOGITS_I8:
    mark_cell(SE_LOGITS_I8, job, p, left, right, marks);
    break;
  case SE_LOGITS_U8:
    mark_cell(SE_LOGITS_U8, job, p, left, right, marks);
    break;
  default:
    mark_cell(SE_LOGITS_F32, job, p, left, right, marks);
  }
}

/* Gives a run of the cells from `cell` to `end_cell` its list, at classes[used]; returns where the next list goes. */
static size_t choose_classes(const se_painter *self, se_position64 p, se_run *run, size_t end_cell, size_t used) {
  const se_paint_job *job = self->job;
  const int32_t *start = self->tables.cell_start;
  uint8_t *list = self->rows.classes, marks[SE_MAX_CLASSES] = {0};
  for (size_t cell = run->cell; cell < end_cell; cell++) {
    if (start[cell] == start[cell + 1]) continue;
    mark_classes(job, p, cell ? cell - 1 : 0, cell < job->w ? cell : job->w - 1, marks);
  }
  size_t next = used;
  for (size_t c = 0; c < job->classes; c++) {
    if (!marks[c]) continue;
    if (next == self->rows.classes_size) return used; /* no room: the run keeps all classes */
    list[next++] = (uint8_t)c;
  }
  run->classes = list + used;
  run->count = next - used;
  return next;
}

/* Lists the runs of one row of cells. */
static void make_runs(se_painter *self, se_position64 p) {
  const se_paint_job *job = self->job;
  const uint8_t *above = self->rows.corner[0], *below = self->rows.corner[1];
  const int32_t *start = self->tables.cell_start;
  const size_t w = job->w;
  se_run *runs = self->rows.runs;
  size_t count = 0;
  for (size_t cell = 0; cell <= w; cell++) {
    const int32_t end = start[cell + 1];
    if (end == start[cell]) continue; /* no pixel of this size lies in it */
    const size_t left = cell ? cell - 1 : 0, right = cell < w ? cell : w - 1;
    const uint8_t first = above[left];
    const bool agree = above[right] == first && below[left] == first && below[right] == first;
    const int32_t label = agree ? first : MIXED;
    if (count && runs[count - 1].label == label) {
      runs[count - 1].end = end;
    } else {
      runs[count++] = (se_run){end, label, cell, self->rows.classes, job->classes};
    }
  }
  self->run_count = count;
  /* The lists pay where several rows of pixels use them. */
  size_t used = job->classes;
  for (size_t r = 0; job->dst_h >= 3 * job->h && r < count; r++) {
    if (runs[r].label != MIXED) continue;
    used = choose_classes(self, p, runs + r, r + 1 < count ? runs[r + 1].cell : w + 1, used);
  }
}

void se_enter_cells(se_painter *self, se_position64 p) {
  se_rows *rows = &self->rows;
  self->cell = p.cell;
  if (p.low == self->labelled[1]) { /* the next row of cells: what was below is above now */
    uint8_t *swapped = rows->corner[0];
    rows->corner[0] = rows->corner[1];
    rows->corner[1] = swapped;
  } else if (p.low != self->labelled[0]) {
    argmax_row(self, (size_t)p.low, rows->corner[0]);
  }
  argmax_row(self, (size_t)p.high, rows->corner[1]);
  self->labelled[0] = p.low;
  self->labelled[1] = p.high;
  make_runs(self, p);
}
