/* The extension module seg_edge.runtime._kernels: checks every argument, releases the GIL, calls segedge.h.
 * It never converts or copies: what does not fit is refused by name. kernels.py is the documented surface. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "segedge.h"
#include <stdbool.h>
#include <string.h>

typedef struct {
  const se_kernels *isa; /* used where a call names none */
} module_state;

/* ---- arguments ---- */

typedef enum { INPUT, OUTPUT } direction;

typedef struct {
  const char *name, *dtype; /* dtype: "uint8" or "float32" */
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
  array arrays[6];
  size_t count;
} call;

static void release(call *self) {
  for (size_t i = 0; i < self->count; i++) {
    if (self->arrays[i].held) PyBuffer_Release(&self->arrays[i].view);
  }
}

static const char *dtype_name(const Py_buffer *view) {
  static const struct {
    const char *format, *name;
  } names[] = {{"?", "bool"},   {"b", "int8"},    {"B", "uint8"},   {"h", "int16"},  {"H", "uint16"},
               {"i", "int32"},  {"I", "uint32"},  {"l", "int64"},   {"L", "uint64"}, {"q", "int64"},
               {"Q", "uint64"}, {"e", "float16"}, {"f", "float32"}, {"d", "float64"}};
  const char *format = view->format ? view->format : "B";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(format, names[i].format) == 0) return names[i].name;
  }
  return format;
}

static PyObject *tuple_of(const Py_ssize_t *values, int count) {
  PyObject *tuple = PyTuple_New(count);
  for (int i = 0; tuple && i < count; i++) {
    PyObject *value = PyLong_FromSsize_t(values[i]);
    if (!value)
      Py_CLEAR(tuple);
    else
      PyTuple_SET_ITEM(tuple, i, value);
  }
  return tuple;
}

/* Raises "resize: frame_bgr must be uint8 (H, W, 3), …, got float64 (720, 1280, 3); REMEDY". */
static bool refuse(const call *self, const array *a, PyObject *type, const char *demand, const char *remedy) {
  PyObject *shape = tuple_of(a->view.shape, a->view.ndim);
  if (shape) {
    PyErr_Format(type, "%s: %s must be %s %s%s, got %s %R; %s", self->function, a->rule->name, a->rule->dtype,
                 a->rule->shape, demand, dtype_name(&a->view), shape, remedy);
    Py_DECREF(shape);
  }
  return false;
}

static bool refuse_strides(const call *self, const array *a) {
  PyObject *strides = tuple_of(a->view.strides, a->view.ndim);
  char remedy[96];
  if (!strides) return false;
  if (a->rule->way == INPUT) {
    snprintf(remedy, sizeof remedy, "use np.ascontiguousarray(%s)", a->rule->name);
  } else {
    snprintf(remedy, sizeof remedy, "pass an array as np.empty makes it");
  }
  PyErr_Format(PyExc_ValueError, "%s: %s must be %s %s, %s, got byte strides %R; %s", self->function, a->rule->name,
               a->rule->dtype, a->rule->shape,
               a->rule->strided ? "each row contiguous and rows in ascending order" : "C-contiguous", strides, remedy);
  Py_DECREF(strides);
  return false;
}

/* Rows of a strided array, first axis. An axis of length 1 has no stride worth checking. */
static bool strides_fit(const array *a) {
  const Py_buffer *view = &a->view;
  Py_ssize_t expected = view->itemsize;
  for (int axis = view->ndim - 1; axis >= 0; axis--) {
    const bool free_row = a->rule->strided && axis == 0;
    if (view->shape[axis] > 1 && (free_row ? view->strides[axis] < expected : view->strides[axis] != expected)) return false;
    expected *= view->shape[axis]; /* the array exists in memory: no overflow */
  }
  return true;
}

static bool take(call *self, PyObject *object, const rule *rule) {
  array *a = &self->arrays[self->count++];
  a->rule = rule;
  a->held = PyObject_CheckBuffer(object) && PyObject_GetBuffer(object, &a->view, PyBUF_STRIDES | PyBUF_FORMAT) == 0;
  if (!a->held) {
    PyErr_Format(PyExc_TypeError, "%s: %s must be %s %s, got %s; pass a NumPy array", self->function, rule->name,
                 rule->dtype, rule->shape, Py_TYPE(object)->tp_name);
    return false;
  }
  char remedy[96];
  snprintf(remedy, sizeof remedy,
           rule->way == INPUT ? "use np.ascontiguousarray(%s, np.%s)" : "make %s with np.empty(shape, np.%s)", rule->name,
           rule->dtype);
  if (strcmp(dtype_name(&a->view), rule->dtype) != 0) return refuse(self, a, PyExc_TypeError, "", remedy);
  if (a->view.ndim != rule->ndim || (rule->pixels && a->view.shape[rule->ndim - 1] != 3)) {
    return refuse(self, a, PyExc_ValueError, "", "pass an array of that shape");
  }
  for (int axis = 0; axis < a->view.ndim; axis++) {
    if (a->view.shape[axis] < 1 || a->view.shape[axis] > SE_MAX_SIDE) {
      return refuse(self, a, PyExc_ValueError, " with sides of 1 to 16384", "pass a smaller array that is not empty");
    }
  }
  if (!strides_fit(a)) return refuse_strides(self, a);
  if (rule->way == OUTPUT && a->view.readonly) {
    return refuse(self, a, PyExc_ValueError, " and writable", "the array received is read-only: pass another");
  }
  return true;
}

static size_t side(const array *a, int axis) {
  return (size_t)a->view.shape[axis];
}

static size_t row_bytes(const array *a) {
  size_t bytes = (size_t)a->view.itemsize;
  for (int axis = 1; axis < a->view.ndim; axis++) bytes *= side(a, axis);
  return bytes;
}

static size_t stride(const array *a) {
  return side(a, 0) > 1 ? (size_t)a->view.strides[0] : row_bytes(a);
}

/* Whether two arrays share a byte. Rows of one stride that interleave without touching (two crops side by side) share none.
 */
static bool overlap(const array *a, const array *b) {
  const uintptr_t a0 = (uintptr_t)a->view.buf, b0 = (uintptr_t)b->view.buf;
  const size_t pitch = stride(a), a_row = row_bytes(a), b_row = row_bytes(b);
  if (a0 + (side(a, 0) - 1) * pitch + a_row <= b0 || b0 + (side(b, 0) - 1) * stride(b) + b_row <= a0) return false;
  if (pitch != stride(b)) return true;
  const size_t shift = b0 >= a0 ? (b0 - a0) % pitch : (pitch - (a0 - b0) % pitch) % pitch;
  return shift < a_row || shift + b_row > pitch;
}

static bool disjoint(const call *self, const array *out, const array *other, const char *remedy) {
  if (!overlap(out, other)) return true;
  PyErr_Format(PyExc_ValueError, "%s: %s must not overlap %s, got arrays that share memory; %s", self->function,
               out->rule->name, other->rule->name, remedy);
  return false;
}

/* out may be exactly the frame (every byte is read before it is written) or share nothing with it. */
static bool same_or_disjoint(const call *self, const array *out, const array *frame) {
  const bool same = out->view.buf == frame->view.buf && stride(out) == stride(frame);
  return same || disjoint(self, out, frame, "pass the frame itself or another array");
}

static bool sized(const call *self, const array *a, size_t h, size_t w, const char *as) {
  if (side(a, 0) == h && side(a, 1) == w) return true;
  char demand[96];
  snprintf(demand, sizeof demand, " with (H, W) = (%zu, %zu), the size of %s", h, w, as);
  return refuse(self, a, PyExc_ValueError, demand, "pass an array of that size");
}

static bool class_count(const call *self, const array *a) {
  if (side(a, 0) <= SE_MAX_CLASSES) return true;
  return refuse(self, a, PyExc_ValueError, " with 1 to 256 classes C", "a uint8 mask holds no more");
}

static bool fixed_alpha(const call *self, double alpha, unsigned *fixed) {
  if (alpha >= 0 && alpha <= 1) {
    *fixed = (unsigned)(alpha * 256 + 0.5);
    return true;
  }
  PyObject *value = PyFloat_FromDouble(alpha);
  if (value) {
    PyErr_Format(PyExc_ValueError, "%s: alpha must be 0 (frame only) to 1 (colour only), got %R; use 0.5", self->function,
                 value);
    Py_DECREF(value);
  }
  return false;
}

static const se_kernels *pick_isa(PyObject *module, const call *self, const char *name) {
  const se_kernels *isa = name ? se_kernels_get(name) : ((module_state *)PyModule_GetState(module))->isa;
  if (!isa)
    PyErr_Format(PyExc_ValueError, "%s: isa must be one that this machine runs, got '%s'; see available_isas()",
                 self->function, name);
  return isa;
}

static const rule frame_rule = {"frame_bgr", "uint8", "(H, W, 3)", 3, true, true, INPUT};
static const rule resized_rule = {"out", "uint8", "(H, W, 3)", 3, true, false, OUTPUT};
static const rule overlay_rule = {"out", "uint8", "(H, W, 3)", 3, true, true, OUTPUT};
static const rule logits_rule = {"logits_chw", "float32", "(C, H, W)", 3, false, false, INPUT};
static const rule palette_rule = {"palette_bgr", "uint8", "(C, 3)", 2, true, false, INPUT};
static const rule mask_rule = {"mask", "uint8", "(H, W)", 2, false, false, INPUT};
static const rule labels_rule = {"out", "uint8", "(H, W)", 2, false, false, OUTPUT};
static const rule mask_out_rule = {"mask_out", "uint8", "(H, W)", 2, false, false, OUTPUT};

/* ---- functions ---- */

static PyObject *py_resize(PyObject *module, PyObject *args) {
  PyObject *frame_object, *out_object, *result = NULL;
  const char *rule_name, *isa_name = NULL;
  if (!PyArg_ParseTuple(args, "OOs|z:resize", &frame_object, &out_object, &rule_name, &isa_name)) return NULL;
  call self = {.function = "resize"};
  const array *frame = &self.arrays[0], *out = &self.arrays[1];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  void *scratch = NULL;
  if (!isa || !take(&self, frame_object, &frame_rule) || !take(&self, out_object, &resized_rule) ||
      !disjoint(&self, out, frame, "pass another array")) {
    goto done;
  }
  const bool area = strcmp(rule_name, "area") == 0;
  if (!area && strcmp(rule_name, "bilinear") != 0) {
    PyErr_Format(PyExc_ValueError, "resize: rule must be 'area' or 'bilinear', got '%s'; use 'area'", rule_name);
    goto done;
  }
  const se_resize_rule how = area ? SE_RESIZE_AREA : SE_RESIZE_BILINEAR;
  const size_t src_h = side(frame, 0), src_w = side(frame, 1), dst_h = side(out, 0), dst_w = side(out, 1);
  scratch = PyMem_RawMalloc(se_resize_scratch(src_h, src_w, dst_h, dst_w, how));
  if (!scratch) {
    PyErr_NoMemory();
    goto done;
  }
  Py_BEGIN_ALLOW_THREADS;
  se_resize(isa, frame->view.buf, src_h, src_w, stride(frame), out->view.buf, dst_h, dst_w, how, 0, dst_h, scratch);
  Py_END_ALLOW_THREADS;
  result = Py_NewRef(Py_None);
done:
  PyMem_RawFree(scratch);
  release(&self);
  return result;
}

static PyObject *py_upsample_argmax(PyObject *module, PyObject *args) {
  PyObject *logits_object, *out_object, *result = NULL;
  const char *isa_name = NULL;
  if (!PyArg_ParseTuple(args, "OO|z:upsample_argmax", &logits_object, &out_object, &isa_name)) return NULL;
  call self = {.function = "upsample_argmax"};
  const array *logits = &self.arrays[0], *out = &self.arrays[1];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  void *scratch = NULL;
  if (!isa || !take(&self, logits_object, &logits_rule) || !take(&self, out_object, &labels_rule) ||
      !class_count(&self, logits) || !disjoint(&self, out, logits, "pass another array")) {
    goto done;
  }
  const size_t classes = side(logits, 0), h = side(logits, 1), w = side(logits, 2), dst_h = side(out, 0),
               dst_w = side(out, 1);
  scratch = PyMem_RawMalloc(se_upsample_scratch(w, dst_w, classes));
  if (!scratch) {
    PyErr_NoMemory();
    goto done;
  }
  Py_BEGIN_ALLOW_THREADS;
  se_upsample_argmax(isa, logits->view.buf, classes, h, w, out->view.buf, dst_h, dst_w, 0, dst_h, scratch);
  Py_END_ALLOW_THREADS;
  result = Py_NewRef(Py_None);
done:
  PyMem_RawFree(scratch);
  release(&self);
  return result;
}

static PyObject *py_upsample_overlay(PyObject *module, PyObject *args) {
  PyObject *logits_object, *frame_object, *palette_object, *out_object, *mask_object, *result = NULL;
  const char *isa_name = NULL;
  double alpha;
  unsigned fixed = 0;
  if (!PyArg_ParseTuple(args, "OOOdOO|z:upsample_overlay", &logits_object, &frame_object, &palette_object, &alpha,
                        &out_object, &mask_object, &isa_name)) {
    return NULL;
  }
  call self = {.function = "upsample_overlay"};
  const array *logits = &self.arrays[0], *frame = &self.arrays[1], *palette = &self.arrays[2], *out = &self.arrays[3];
  const array *mask = mask_object == Py_None ? NULL : &self.arrays[4];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  void *scratch = NULL;
  if (!isa || !take(&self, logits_object, &logits_rule) || !take(&self, frame_object, &frame_rule) ||
      !take(&self, palette_object, &palette_rule) || !take(&self, out_object, &overlay_rule) ||
      (mask && !take(&self, mask_object, &mask_out_rule)) || !class_count(&self, logits) ||
      !fixed_alpha(&self, alpha, &fixed)) {
    goto done;
  }
  const size_t classes = side(logits, 0), h = side(logits, 1), w = side(logits, 2);
  const size_t dst_h = side(frame, 0), dst_w = side(frame, 1);
  if (side(palette, 0) != classes) {
    char demand[64];
    snprintf(demand, sizeof demand, " with C = %zu, the classes of logits_chw", classes);
    refuse(&self, palette, PyExc_ValueError, demand, "give one colour per class");
    goto done;
  }
  if (!sized(&self, out, dst_h, dst_w, "frame_bgr") || !same_or_disjoint(&self, out, frame) ||
      !disjoint(&self, out, logits, "pass another array") || !disjoint(&self, out, palette, "pass another array")) {
    goto done;
  }
  for (size_t i = 0; mask && i < 4; i++) {
    if (!disjoint(&self, mask, &self.arrays[i], "pass another array")) goto done;
  }
  if (mask && !sized(&self, mask, dst_h, dst_w, "frame_bgr")) goto done;
  scratch = PyMem_RawMalloc(se_upsample_scratch(w, dst_w, classes));
  if (!scratch) {
    PyErr_NoMemory();
    goto done;
  }
  Py_BEGIN_ALLOW_THREADS;
  se_upsample_overlay(isa, logits->view.buf, classes, h, w, palette->view.buf, frame->view.buf, stride(frame), fixed,
                      out->view.buf, stride(out), mask ? mask->view.buf : NULL, dst_h, dst_w, 0, dst_h, scratch);
  Py_END_ALLOW_THREADS;
  result = Py_NewRef(Py_None);
done:
  PyMem_RawFree(scratch);
  release(&self);
  return result;
}

static PyObject *py_blend(PyObject *module, PyObject *args) {
  PyObject *mask_object, *frame_object, *palette_object, *out_object, *result = NULL;
  const char *isa_name = NULL;
  double alpha;
  unsigned fixed = 0;
  if (!PyArg_ParseTuple(args, "OOOdO|z:blend", &mask_object, &frame_object, &palette_object, &alpha, &out_object,
                        &isa_name)) {
    return NULL;
  }
  call self = {.function = "blend"};
  const array *mask = &self.arrays[0], *frame = &self.arrays[1], *palette = &self.arrays[2], *out = &self.arrays[3];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  void *scratch = NULL;
  if (!isa || !take(&self, mask_object, &mask_rule) || !take(&self, frame_object, &frame_rule) ||
      !take(&self, palette_object, &palette_rule) || !take(&self, out_object, &overlay_rule) ||
      !class_count(&self, palette) || !fixed_alpha(&self, alpha, &fixed)) {
    goto done;
  }
  const size_t h = side(frame, 0), w = side(frame, 1), classes = side(palette, 0);
  if (!sized(&self, mask, h, w, "frame_bgr") || !sized(&self, out, h, w, "frame_bgr") ||
      !same_or_disjoint(&self, out, frame) || !disjoint(&self, out, mask, "pass another array") ||
      !disjoint(&self, out, palette, "pass another array")) {
    goto done;
  }
  scratch = PyMem_RawMalloc(se_blend_scratch(w, classes));
  if (!scratch) {
    PyErr_NoMemory();
    goto done;
  }
  Py_BEGIN_ALLOW_THREADS;
  se_blend(isa, mask->view.buf, palette->view.buf, classes, frame->view.buf, stride(frame), fixed, out->view.buf,
           stride(out), h, w, 0, h, scratch);
  Py_END_ALLOW_THREADS;
  result = Py_NewRef(Py_None);
done:
  PyMem_RawFree(scratch);
  release(&self);
  return result;
}

static PyObject *py_isa(PyObject *module, PyObject *unused) {
  (void)unused;
  return PyUnicode_FromString(se_isa_name(((module_state *)PyModule_GetState(module))->isa));
}

static PyObject *names(const char *(*at)(size_t)) {
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && at(i); i++) {
    PyObject *name = PyUnicode_FromString(at(i));
    if (!name || PyList_Append(list, name) < 0) Py_CLEAR(list);
    Py_XDECREF(name);
  }
  PyObject *tuple = list ? PyList_AsTuple(list) : NULL;
  Py_XDECREF(list);
  return tuple;
}

static PyObject *py_available_isas(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return names(se_isa_available);
}

/* ---- module ---- */

/* Chooses the instruction set once, at import. */
static int module_exec(PyObject *module) {
  const char *forced = getenv("SEG_EDGE_ISA");
  const se_kernels *isa = se_kernels_get(forced && *forced ? forced : NULL);
  if (!isa) {
    bool known = false;
    for (size_t i = 0; se_isa_known(i); i++) known |= strcmp(se_isa_known(i), forced) == 0;
    PyObject *valid = names(se_isa_available), *comma = PyUnicode_FromString(", ");
    PyObject *list = valid && comma ? PyUnicode_Join(comma, valid) : NULL;
    if (list) {
      PyErr_Format(PyExc_ImportError, "SEG_EDGE_ISA: '%s' is an instruction set that %s; choose one of %U, or unset it",
                   forced, known ? "this machine can't run" : "this build doesn't have", list);
    }
    Py_XDECREF(list), Py_XDECREF(comma), Py_XDECREF(valid);
    return -1;
  }
  ((module_state *)PyModule_GetState(module))->isa = isa;
  return 0;
}

static PyMethodDef methods[] = {
    {"resize", py_resize, METH_VARARGS, "resize(frame_bgr, out, rule, isa=None)"},
    {"upsample_argmax", py_upsample_argmax, METH_VARARGS, "upsample_argmax(logits_chw, out, isa=None)"},
    {"upsample_overlay", py_upsample_overlay, METH_VARARGS,
     "upsample_overlay(logits_chw, frame_bgr, palette_bgr, alpha, out, mask_out, isa=None)"},
    {"blend", py_blend, METH_VARARGS, "blend(mask, frame_bgr, palette_bgr, alpha, out, isa=None)"},
    {"isa", py_isa, METH_NOARGS, "isa()"},
    {"available_isas", py_available_isas, METH_NOARGS, "available_isas()"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_kernels",
    .m_doc = "Bindings of segedge.h; use seg_edge.runtime.kernels.",
    .m_size = sizeof(module_state),
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__kernels(void) {
  return PyModuleDef_Init(&definition);
}
