#include "binding_args.h"
#include <string.h>

void release(call *self) {
  for (size_t i = 0; i < self->count; i++) {
    if (self->arrays[i].held) PyBuffer_Release(&self->arrays[i].view);
  }
}

const char *dtype_name(const Py_buffer *view) {
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
      PyTuple_SetItem(tuple, i, value);
  }
  return tuple;
}

bool refuse(const call *self, const array *a, PyObject *type, const char *demand, const char *remedy) {
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

/* Whether the words of `list` ("float32, float16 or int8") have `word`. */
static bool one_of(const char *word, const char *list) {
  for (const size_t length = strlen(word);; list++) {
    list += strspn(list, ", ");
    const size_t next = strcspn(list, ", ");
    if (next == length && memcmp(list, word, length) == 0) return true;
    list += next;
    if (!*list) return false;
  }
}

/* "list", "numpy.ndarray"; NULL with an exception set. tp_name is no part of the stable ABI. */
static PyObject *type_name(PyObject *object) {
  PyObject *type = (PyObject *)Py_TYPE(object), *full = NULL;
  PyObject *name = PyObject_GetAttrString(type, "__name__"), *module = PyObject_GetAttrString(type, "__module__");
  if (name && module && PyUnicode_Check(name) && PyUnicode_Check(module)) {
    const bool builtin = PyUnicode_CompareWithASCIIString(module, "builtins") == 0;
    full = builtin ? Py_NewRef(name) : PyUnicode_FromFormat("%U.%U", module, name);
  } else if (!PyErr_Occurred()) {
    full = PyUnicode_FromString("an object");
  }
  Py_XDECREF(name);
  Py_XDECREF(module);
  return full;
}

bool refuse_type(const call *self, const char *name, const char *demand, PyObject *got, const char *remedy) {
  PyObject *type = type_name(got);
  if (type) {
    PyErr_Format(PyExc_TypeError, "%s: %s must be %s, got %U; %s", self->function, name, demand, type, remedy);
    Py_DECREF(type);
  }
  return false;
}

bool take(call *self, PyObject *object, const rule *rule) {
  array *a = &self->arrays[self->count++];
  a->rule = rule;
  a->held = PyObject_CheckBuffer(object) && PyObject_GetBuffer(object, &a->view, PyBUF_STRIDES | PyBUF_FORMAT) == 0;
  if (!a->held) {
    char demand[96];
    snprintf(demand, sizeof demand, "%s %s", rule->dtype, rule->shape);
    return refuse_type(self, rule->name, demand, object, "pass a NumPy array");
  }
  char remedy[96];
  snprintf(remedy, sizeof remedy,
           rule->way == INPUT ? "use np.ascontiguousarray(%s, np.%.*s)" : "make %s with np.empty(shape, np.%.*s)",
           rule->name, (int)strcspn(rule->dtype, ","), rule->dtype);
  if (!one_of(dtype_name(&a->view), rule->dtype)) return refuse(self, a, PyExc_TypeError, "", remedy);
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

size_t side(const array *a, int axis) {
  return (size_t)a->view.shape[axis];
}

static size_t row_bytes(const array *a) {
  size_t bytes = (size_t)a->view.itemsize;
  for (int axis = 1; axis < a->view.ndim; axis++) bytes *= side(a, axis);
  return bytes;
}

size_t stride(const array *a) {
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

bool disjoint(const call *self, const array *out, const array *other, const char *remedy) {
  if (!overlap(out, other)) return true;
  PyErr_Format(PyExc_ValueError, "%s: %s must not overlap %s, got arrays that share memory; %s", self->function,
               out->rule->name, other->rule->name, remedy);
  return false;
}

bool same_or_disjoint(const call *self, const array *out, const array *frame) {
  const bool same = out->view.buf == frame->view.buf && stride(out) == stride(frame);
  return same || disjoint(self, out, frame, "pass the frame itself or another array");
}

bool sized(const call *self, const array *a, size_t h, size_t w, const char *as) {
  if (side(a, 0) == h && side(a, 1) == w) return true;
  char demand[96];
  snprintf(demand, sizeof demand, " with (H, W) = (%zu, %zu), the size of %s", h, w, as);
  return refuse(self, a, PyExc_ValueError, demand, "pass an array of that size");
}

bool class_count(const call *self, const array *a) {
  if (side(a, 0) <= SE_MAX_CLASSES) return true;
  return refuse(self, a, PyExc_ValueError, " with 1 to 256 classes C", "a uint8 mask holds no more");
}
