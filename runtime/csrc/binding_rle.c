/* coco_rle: label -> COCO's text of its runs. */
#include "binding_args.h"

static const rule mask_rule = {"mask", "uint8", "(H, W)", 2, false, false, INPUT};

static PyObject *texts(const size_t *ends, const char *out) {
  PyObject *found = PyDict_New();
  size_t start = 0;
  for (long i = 0; found && i < 256; start = ends[i++]) {
    if (ends[i] == start) continue;
    PyObject *label = PyLong_FromLong(i), *text = PyUnicode_FromStringAndSize(out + start, (Py_ssize_t)(ends[i] - start));
    if (!label || !text || PyDict_SetItem(found, label, text) < 0) Py_CLEAR(found);
    Py_XDECREF(label);
    Py_XDECREF(text);
  }
  return found;
}

PyObject *py_coco_rle(PyObject *module, PyObject *mask_object) {
  (void)module;
  call self = {.function = "coco_rle"};
  const array *mask = &self.arrays[0];
  if (!take(&self, mask_object, &mask_rule)) {
    release(&self);
    return NULL;
  }
  const size_t h = side(mask, 0), w = side(mask, 1);
  size_t ends[256], runs = 0;
  uint8_t *labels = NULL;
  char *out = NULL;
  uint32_t *starts = NULL, *columns = malloc(w * sizeof *columns);
  Py_BEGIN_ALLOW_THREADS;
  if (columns) {
    runs = se_runs_count(mask->view.buf, h, w, columns);
    starts = malloc(runs * sizeof *starts);
    labels = malloc(runs);
  }
  if (starts && labels) {
    se_runs_list(mask->view.buf, h, w, columns, starts, labels);
    se_runs_coco(starts, labels, runs, h * w, ends, NULL);
    out = malloc(ends[255]);
  }
  if (out) se_runs_coco(starts, labels, runs, h * w, ends, out);
  Py_END_ALLOW_THREADS;
  PyObject *result = out ? texts(ends, out) : PyErr_NoMemory();
  free(out);
  free(labels);
  free(starts);
  free(columns);
  release(&self);
  return result;
}
