/* Private: what paint.c and runs.c share: an image's tables, a call's rows. */
#ifndef SE_ROWS_H
#define SE_ROWS_H

#include "se_kernels.h"
#include "se_pixel.h"

/* Runs are painted in steps of 16 pixels from left to right; what goes past a run's end is painted over by the next, and
 * past the row's end lies padding. */
enum { STEP = 16, MIXED = -1, PAD = SE_LABEL_PAD };

/* What a class does to a pixel: (frame * keep + add) >> 8, for STEP pixels of three channels. */
typedef struct {
  uint16_t keep[3 * STEP], add[3 * STEP];
} se_ink;

typedef struct {
  int32_t end;            /* first pixel after the run */
  int32_t label;          /* class, or MIXED */
  size_t cell;            /* its first cell */
  const uint8_t *classes; /* MIXED: those that may win there, ascending */
  size_t count;
} se_run;

/* Written once for an image. */
typedef struct {
  int32_t *low, *high; /* per output column: columns of the logits */
  float *wx;           /* and the weight of `high` */
  int32_t *cell_start; /* per cell: its first output column; w + 1 cells and an end */
  se_ink *fill, *line; /* per class, and one more that keeps the frame */
  size_t size;
} se_tables;

/* Written by the rows of one call. */
typedef struct {
  uint8_t *corner[2]; /* highest class of the logits' rows above and below the current row of cells */
  se_run *runs;
  uint8_t *classes; /* 0, 1, 2, ... and then the runs' own lists */
  size_t classes_size;
  uint8_t *labels;      /* one output row */
  uint8_t *mixed;       /* the same; valid where a run is MIXED */
  uint8_t *window[3];   /* contours: the rows above, here and below */
  uint8_t *marks;       /* contours: not 0 where a pixel is on one */
  uint16_t *keep, *add; /* one output row of three channels */
  uint32_t *counts;     /* those of the call's rows: (regions, 256) */
  size_t size;
} se_rows;

typedef struct {
  const se_kernels *isa;
  const se_paint_job *job;
  se_tables tables;
  se_rows rows;
  se_yuv colour;       /* of job->source */
  bool each;           /* classes differ in alpha, or labels may have no colour: keep is a row, not a number */
  int32_t cell;        /* the row of cells that runs describe; -1: none yet */
  int32_t labelled[2]; /* the logits' rows that corner[0] and corner[1] hold */
  size_t run_count;
} se_painter;

static inline size_t se_region_count(const se_paint_job *job) {
  return job->regions ? job->regions->count : 1;
}

/* Makes self->rows.runs those of p's row of cells; rows of cells come in ascending order. */
void se_enter_cells(se_painter *self, se_position64 p);
/* The labels of a MIXED run that begins at x0 to self->rows.mixed. */
void se_lerp_run(const se_painter *self, const se_run *run, se_position64 p, size_t x0);

/* ---- count.c ---- */
void se_count_begin(const se_painter *self);
/* Counts row y, whose runs are self->rows.runs, with the MIXED ones in self->rows.mixed. */
void se_count_runs(const se_painter *self, size_t y);
/* Counts row y of these labels; `padded`: SE_LABEL_PAD elements past its end may be read. */
void se_count_labels(const se_painter *self, size_t y, const uint8_t *labels, bool padded);
/* Adds the rows' counts to the job's. */
void se_count_end(const se_painter *self);

#endif
