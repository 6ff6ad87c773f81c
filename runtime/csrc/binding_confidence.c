/* confidence: logits to a map of how sure they are. */
#include "binding_args.h"
#include <math.h>
#include <string.h>

static const rule mask_rule = {"mask", "uint8", "(H, W)", 2, false, false, OUTPUT};

static bool set_map(const call *self, se_confidence_map *map, const char *measure, double scale, Py_ssize_t threshold,
                    Py_ssize_t below) {
  const bool margin = strcmp(measure, "margin") == 0;
  if (!margin && strcmp(measure, "probability") != 0) {
    PyErr_Format(PyExc_ValueError, "%s: measure must be 'probability' or 'margin', got '%s'; use 'probability'",
                 self->function, measure);
    return false;
  }
  map->measure = margin ? SE_MARGIN : SE_PROBABILITY;
  map->scale = (float)scale;
  if (!(map->scale > 0 && isfinite(map->scale))) {
    PyErr_Format(PyExc_ValueError, "%s: scale must be a positive number; use 1 for float logits", self->function);
    return false;
  }
  if (threshold < 0 || threshold > 255 || below < 0 || below > 255) {
    PyErr_Format(PyExc_ValueError, "%s: threshold and below must be 0 to 255, got %zd and %zd; use 0 for no threshold",
                 self->function, threshold, below);
    return false;
  }
  map->threshold = (uint8_t)threshold;
  map->below = (uint8_t)below;
  return true;
}

static PyObject *run(const se_kernels *isa, const se_paint_job *job, const se_confidence_map *map, size_t threads) {
  void *workspace = malloc(se_confidence_workspace(job, threads));
  if (!workspace) return PyErr_NoMemory();
  Py_BEGIN_ALLOW_THREADS;
  se_confidence_image(isa, job, map, threads, workspace);
  Py_END_ALLOW_THREADS;
  free(workspace);
  return Py_NewRef(Py_None);
}

PyObject *py_confidence(PyObject *module, PyObject *args) {
  PyObject *logits_object, *out_object, *mask_object, *window = NULL, *result = NULL;
  const char *measure, *isa_name = NULL;
  double scale;
  Py_ssize_t threshold, below, threads = 0;
  if (!PyArg_ParseTuple(args, "OOsdOnn|znO:confidence", &logits_object, &out_object, &measure, &scale, &mask_object,
                        &threshold, &below, &isa_name, &threads, &window)) {
    return NULL;
  }
  call self = {.function = "confidence"};
  const array *logits = &self.arrays[0], *out = &self.arrays[1];
  const array *mask = mask_object == Py_None ? NULL : &self.arrays[2];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  se_confidence_map map = {0};
  if (isa && thread_count(&self, threads) && set_map(&self, &map, measure, scale, threshold, below) &&
      take(&self, logits_object, &logits_rule) && take(&self, out_object, &labels_rule) && class_count(&self, logits) &&
      disjoint(&self, out, logits, "pass another array") &&
      (!mask || (take(&self, mask_object, &mask_rule) && sized(&self, mask, side(out, 0), side(out, 1), "out") &&
                 disjoint(&self, mask, logits, "pass another array") && disjoint(&self, mask, out, "pass another array")))) {
    se_paint_job job = {.mask = mask ? mask->view.buf : NULL, .dst_h = side(out, 0), .dst_w = side(out, 1)};
    map.out = out->view.buf;
    set_logits(&job, logits);
    if (set_window(&self, window, &job)) result = run(isa, &job, &map, (size_t)threads);
  }
  release(&self);
  return result;
}
