/* Private to the binding: takes a call's arrays and refuses by name what does not fit. Never converts, never copies. */
#ifndef SE_BINDING_ARGS_H
#define SE_BINDING_ARGS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "segedge.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { INPUT, OUTPUT } direction;

typedef struct {
  const char *name, *dtype; /* dtype: names in the buffer protocol's order of preference, "float32, float16 or int8" */
  const char *shape;        /* as the user reads it: "(H, W, 3)" */
  int ndim;
  bool pixels;  /* the last axis is a pixel's three channels */
  bool strided; /* rows may lie apart (a crop of a larger frame); everything else is C-contiguous */
  direction way;
} rule;

typedef struct {
  Py_buffer view;
  const rule *rule;
  bool held;
} array;

/* A call's name and arrays; release() drops whichever of them are held. */
typedef struct {
  const char *function;
  array arrays[13];
  size_t count;
} call;

/* The checks return false with a Python exception set: dtype -> TypeError, everything else -> ValueError.
 * take adds the next array. */
bool take(call *self, PyObject *object, const rule *rule);
/* Raises "resize: frame_bgr must be DEMAND, got list; REMEDY". Returns false. */
bool refuse_type(const call *self, const char *name, const char *demand, PyObject *got, const char *remedy);
void release(call *self);
/* Raises "resize: frame_bgr must be uint8 (H, W, 3)DEMAND, got float64 (720, 1280, 3); REMEDY". */
bool refuse(const call *self, const array *a, PyObject *type, const char *demand, const char *remedy);
bool disjoint(const call *self, const array *out, const array *other, const char *remedy);
/* out may be exactly the frame (every byte is read before it is written) or share nothing with it. */
bool same_or_disjoint(const call *self, const array *out, const array *frame);
bool sized(const call *self, const array *a, size_t h, size_t w, const char *as);
bool class_count(const call *self, const array *a);

/* Takes a frame of a named format, an array or a tuple of planes, and describes it. binding_frame.c */
bool take_frame(call *self, PyObject *object, const char *format, const char *matrix, int full_range, se_frame *frame);

const char *dtype_name(const Py_buffer *view);
size_t side(const array *a, int axis);
size_t stride(const array *a); /* bytes between rows */

/* ---- binding.c: what several functions take ---- */

extern const rule logits_rule, labels_rule;
/* name: NULL for the module's. */
const se_kernels *pick_isa(PyObject *module, const call *self, const char *name);
/* threads: 0 is the default. */
bool thread_count(const call *self, Py_ssize_t threads);
void set_logits(se_paint_job *job, const array *logits);
/* window: None, or (top, left, height, width, of_height, of_width) of the image in the network's input. */
bool set_window(const call *self, PyObject *window, se_paint_job *job);

PyObject *py_coco_rle(PyObject *module, PyObject *mask);   /* binding_rle.c */
PyObject *py_confidence(PyObject *module, PyObject *args); /* binding_confidence.c */
PyObject *py_backdrop(PyObject *module, PyObject *args);   /* binding_backdrop.c */

PyObject *py_square_differences(PyObject *module, PyObject *args); /* binding_squares.c */

/* ---- binding_count.c ---- */
PyObject *py_regions(PyObject *module, PyObject *args);
/* The job's counts and regions; None or NULL: none are wanted. The array stays in `self`. */
bool take_counts(call *self, PyObject *counts, PyObject *regions, se_paint_job *job);

#endif
