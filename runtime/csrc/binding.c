/* The extension module seg_edge.runtime._kernels: checks every argument, releases the GIL, calls segedge.h.
 * It never converts or copies: what does not fit is refused by name. kernels.py is the documented surface. */
#include "binding_args.h"
#include <string.h>

typedef struct {
  const se_kernels *isa; /* used where a call names none */
} module_state;

const se_kernels *pick_isa(PyObject *module, const call *self, const char *name) {
  const se_kernels *isa = name ? se_kernels_get(name) : ((module_state *)PyModule_GetState(module))->isa;
  if (!isa)
    PyErr_Format(PyExc_ValueError, "%s: isa must be one that this machine runs, got '%s'; see available_isas()",
                 self->function, name);
  return isa;
}

static const rule resized_rule = {"out", "uint8", "(H, W, 3)", 3, true, true, OUTPUT};
static const rule overlay_rule = {"out", "uint8", "(H, W, 3)", 3, true, true, OUTPUT};
const rule logits_rule = {"logits_chw", "float32, float16, int8 or uint8", "(C, H, W)", 3, false, false, INPUT};
static const rule palette_rule = {"palette_bgr", "uint8", "(C, 3)", 2, true, false, INPUT};
static const rule mask_rule = {"mask", "uint8", "(H, W)", 2, false, false, INPUT};
const rule labels_rule = {"out", "uint8", "(H, W)", 2, false, false, OUTPUT};
static const rule mask_out_rule = {"mask_out", "uint8", "(H, W)", 2, false, false, OUTPUT};
static const rule alpha_rule = {"alpha", "uint16", "(C,)", 1, false, false, INPUT};
static const rule line_palette_rule = {"line_palette_bgr", "uint8", "(C, 3)", 2, true, false, INPUT};
static const rule line_alpha_rule = {"line_alpha", "uint16", "(C,)", 1, false, false, INPUT};

/* ---- functions ---- */

bool thread_count(const call *self, Py_ssize_t threads) {
  if (threads >= 0 && threads <= SE_MAX_THREADS) return true;
  PyErr_Format(PyExc_ValueError, "%s: threads must be 1 to %d, or 0 for the default, got %zd; use 0", self->function,
               SE_MAX_THREADS, threads);
  return false;
}

/* What an output must not share memory with: arrays first .. last - 1. */
static bool apart(const call *self, const array *out, size_t first, size_t last) {
  for (size_t i = first; i < last; i++) {
    if (!disjoint(self, out, &self->arrays[i], "pass another array")) return false;
  }
  return true;
}

static PyObject *py_resize(PyObject *module, PyObject *args) {
  PyObject *frame_object, *out_object, *result = NULL;
  const char *rule_name, *isa_name = NULL, *format = "bgr", *matrix = "bt601";
  Py_ssize_t threads = 0;
  int full_range = 0;
  if (!PyArg_ParseTuple(args, "OOs|znssp:resize", &frame_object, &out_object, &rule_name, &isa_name, &threads, &format,
                        &matrix, &full_range)) {
    return NULL;
  }
  call self = {.function = "resize"};
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  se_frame src;
  void *workspace = NULL;
  if (!isa || !thread_count(&self, threads) || !take_frame(&self, frame_object, format, matrix, full_range, &src)) goto done;
  const array *out = &self.arrays[self.count];
  if (!take(&self, out_object, &resized_rule) || !apart(&self, out, 0, self.count - 1)) goto done;
  const bool area = strcmp(rule_name, "area") == 0;
  if (!area && strcmp(rule_name, "bilinear") != 0) {
    PyErr_Format(PyExc_ValueError, "resize: rule must be 'area' or 'bilinear', got '%s'; use 'area'", rule_name);
    goto done;
  }
  const se_resize_rule how = area ? SE_RESIZE_AREA : SE_RESIZE_BILINEAR;
  const size_t dst_h = side(out, 0), dst_w = side(out, 1);
  workspace = malloc(se_resize_workspace(&src, dst_h, dst_w, how, (size_t)threads));
  if (!workspace) {
    PyErr_NoMemory();
    goto done;
  }
  Py_BEGIN_ALLOW_THREADS;
  se_resize_image(isa, &src, out->view.buf, dst_h, dst_w, stride(out), how, (size_t)threads, workspace);
  Py_END_ALLOW_THREADS;
  result = Py_NewRef(Py_None);
done:
  free(workspace);
  release(&self);
  return result;
}

/* Runs a job whose arrays are checked. */
static PyObject *paint(const se_kernels *isa, const se_paint_job *job, size_t threads) {
  void *workspace = malloc(se_paint_workspace(job, threads));
  if (!workspace) return PyErr_NoMemory();
  Py_BEGIN_ALLOW_THREADS;
  se_paint(isa, job, threads, workspace);
  Py_END_ALLOW_THREADS;
  free(workspace);
  return Py_NewRef(Py_None);
}

void set_logits(se_paint_job *job, const array *logits) {
  const char *dtype = dtype_name(&logits->view);
  job->type = strcmp(dtype, "float32") == 0   ? SE_LOGITS_F32
              : strcmp(dtype, "float16") == 0 ? SE_LOGITS_F16
              : strcmp(dtype, "int8") == 0    ? SE_LOGITS_I8
                                              : SE_LOGITS_U8;
  job->logits = logits->view.buf;
  job->classes = side(logits, 0);
  job->h = side(logits, 1);
  job->w = side(logits, 2);
}

bool set_window(const call *self, PyObject *window, se_paint_job *job) {
  Py_ssize_t v[6];
  if (!window || window == Py_None) return true;
  if (!PyTuple_Check(window) || !PyArg_ParseTuple(window, "nnnnnn", v, v + 1, v + 2, v + 3, v + 4, v + 5)) {
    PyErr_Format(PyExc_TypeError,
                 "%s: window must be (top, left, height, width, of_height, of_width), got %R; use letterbox()",
                 self->function, window);
    return false;
  }
  for (int i = 0; i < 2; i++) {
    if (v[i] < 0 || v[2 + i] < 1 || v[4 + i] > SE_MAX_SIDE || v[i] > v[4 + i] || v[2 + i] > v[4 + i] - v[i]) {
      PyErr_Format(
          PyExc_ValueError,
          "%s: window must lie within of_height x of_width of at most 16384 and hold a pixel, got %R; use letterbox()",
          self->function, window);
      return false;
    }
  }
  job->top = (size_t)v[0], job->left = (size_t)v[1], job->view_h = (size_t)v[2], job->view_w = (size_t)v[3];
  job->of_h = (size_t)v[4], job->of_w = (size_t)v[5];
  return true;
}

static PyObject *py_upsample_argmax(PyObject *module, PyObject *args) {
  PyObject *logits_object, *out_object, *window = NULL, *counts = NULL, *regions = NULL, *result = NULL;
  const char *isa_name = NULL;
  Py_ssize_t threads = 0;
  if (!PyArg_ParseTuple(args, "OO|znOOO:upsample_argmax", &logits_object, &out_object, &isa_name, &threads, &window, &counts,
                        &regions)) {
    return NULL;
  }
  call self = {.function = "upsample_argmax"};
  const array *logits = &self.arrays[0], *out = &self.arrays[1];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  if (isa && thread_count(&self, threads) && take(&self, logits_object, &logits_rule) &&
      take(&self, out_object, &labels_rule) && class_count(&self, logits) &&
      disjoint(&self, out, logits, "pass another array")) {
    se_paint_job job = {.mask = out->view.buf, .dst_h = side(out, 0), .dst_w = side(out, 1)};
    set_logits(&job, logits);
    if (set_window(&self, window, &job) && take_counts(&self, counts, regions, &job)) {
      result = paint(isa, &job, (size_t)threads);
    }
  }
  release(&self);
  return result;
}

/* Counts alone: of logits at a size, or of a mask. */
static PyObject *py_count(PyObject *module, PyObject *args) {
  PyObject *source_object, *counts, *window = NULL, *regions = NULL, *result = NULL;
  const char *isa_name = NULL;
  Py_ssize_t threads = 0, h, w;
  int from_logits;
  if (!PyArg_ParseTuple(args, "O(nn)Op|znOO:count", &source_object, &h, &w, &counts, &from_logits, &isa_name, &threads,
                        &window, &regions)) {
    return NULL;
  }
  call self = {.function = "count"};
  const array *source = &self.arrays[0];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  const bool sizes = h >= 1 && h <= SE_MAX_SIDE && w >= 1 && w <= SE_MAX_SIDE;
  if (!sizes) PyErr_Format(PyExc_ValueError, "count: size must be 1 to 16384 pixels, got (%zd, %zd); pass another", h, w);
  if (sizes && isa && thread_count(&self, threads) && take(&self, source_object, from_logits ? &logits_rule : &mask_rule) &&
      (from_logits ? class_count(&self, source) : sized(&self, source, (size_t)h, (size_t)w, "the count"))) {
    se_paint_job job = {.dst_h = (size_t)h, .dst_w = (size_t)w};
    if (from_logits) {
      set_logits(&job, source);
    } else {
      job.labels = source->view.buf;
    }
    if (set_window(&self, window, &job) && take_counts(&self, counts, regions, &job)) {
      result = job.counts ? paint(isa, &job, (size_t)threads) : Py_NewRef(Py_None);
    }
  }
  release(&self);
  return result;
}

/* A palette and its opacities, checked against the number of classes. */
typedef struct {
  const array *palette, *alpha; /* alpha: NULL where one number serves all classes */
  uint16_t fixed[SE_MAX_CLASSES];
} style;

static bool per_class(const call *self, const array *a, size_t classes) {
  if (side(a, 0) == classes) return true;
  char demand[80];
  const char *whose = self->arrays[0].rule == &logits_rule ? "logits_chw" : "palette_bgr";
  snprintf(demand, sizeof demand, " with C = %zu, the classes of %s", classes, whose);
  return refuse(self, a, PyExc_ValueError, demand, "give one per class");
}

/* classes: what the palette must have; 0: the palette says. */
static bool take_style(call *self, PyObject *palette, const rule *palette_is, PyObject *alpha, const rule *alpha_is,
                       size_t classes, style *out) {
  out->palette = &self->arrays[self->count];
  if (!take(self, palette, palette_is) || !class_count(self, out->palette)) return false;
  if (!classes) classes = side(out->palette, 0);
  if (!per_class(self, out->palette, classes)) return false;
  if (PyFloat_Check(alpha) || PyLong_Check(alpha)) {
    const double value = PyFloat_AsDouble(alpha);
    if (value == -1 && PyErr_Occurred()) PyErr_Clear(); /* too large an int: refused below */
    if (!(value >= 0 && value <= 1)) {
      PyErr_Format(PyExc_ValueError, "%s: %s must be 0 (frame only) to 1 (colour only), got %R; use 0.5", self->function,
                   alpha_is->name, alpha);
      return false;
    }
    for (size_t i = 0; i < classes; i++) out->fixed[i] = (uint16_t)(value * 256 + 0.5);
    return true;
  }
  out->alpha = &self->arrays[self->count];
  if (!take(self, alpha, alpha_is) || !per_class(self, out->alpha, classes)) return false;
  memcpy(out->fixed, out->alpha->view.buf, classes * sizeof *out->fixed);
  for (size_t i = 0; i < classes; i++) {
    if (out->fixed[i] > 256) return refuse(self, out->alpha, PyExc_ValueError, " of values 0 to 256", "256 is opaque");
  }
  return true;
}

/* upsample_overlay takes logits, blend a mask; the rest is the same. */
static PyObject *paint_overlay(PyObject *module, const char *function, PyObject *const *objects, PyObject *mask_object,
                               PyObject *window, PyObject *counts, PyObject *regions, const char *isa_name,
                               Py_ssize_t threads, const char *const *about, int full_range, bool from_logits) {
  PyObject *source_object = objects[0], *frame_object = objects[1], *palette_object = objects[2], *alpha_object = objects[3],
           *out_object = objects[4], *line_palette = objects[5], *line_alpha = objects[6], *result = NULL;
  call self = {.function = function};
  const array *source = &self.arrays[0], *frame = &self.arrays[1]; /* or its first plane */
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  se_frame src;
  style fill = {0}, line = {0};
  if (!isa || !thread_count(&self, threads) || !take(&self, source_object, from_logits ? &logits_rule : &mask_rule) ||
      !take_frame(&self, frame_object, about[0], about[1], full_range, &src) ||
      (from_logits && !class_count(&self, source)) ||
      !take_style(&self, palette_object, &palette_rule, alpha_object, &alpha_rule, from_logits ? side(source, 0) : 0,
                  &fill)) {
    goto done;
  }
  const size_t classes = side(fill.palette, 0), dst_h = src.h, dst_w = src.w;
  const bool bgr = src.format == SE_FRAME_BGR;
  const bool lines = line_palette && line_palette != Py_None && line_alpha;
  if (lines && !take_style(&self, line_palette, &line_palette_rule, line_alpha, &line_alpha_rule, classes, &line)) goto done;
  if (!from_logits && !sized(&self, source, dst_h, dst_w, "frame_bgr")) goto done;
  const size_t inputs = self.count;
  const array *out = &self.arrays[self.count];
  if (!take(&self, out_object, &overlay_rule) || !sized(&self, out, dst_h, dst_w, "frame_bgr") ||
      (bgr && !same_or_disjoint(&self, out, frame)) || !apart(&self, out, 0, 1) || !apart(&self, out, bgr ? 2 : 1, inputs)) {
    goto done;
  }
  const array *mask = mask_object == Py_None ? NULL : &self.arrays[self.count];
  if (mask && !take(&self, mask_object, &mask_out_rule)) goto done;
  if (mask && !apart(&self, mask, 0, inputs + 1)) goto done;
  if (mask && !sized(&self, mask, dst_h, dst_w, "frame_bgr")) goto done;
  se_paint_job job = {.classes = classes,
                      .dst_h = dst_h,
                      .dst_w = dst_w,
                      .mask = mask ? mask->view.buf : NULL,
                      .frame = bgr ? frame->view.buf : NULL,
                      .frame_stride = stride(frame),
                      .source = bgr ? NULL : &src,
                      .overlay = out->view.buf,
                      .overlay_stride = stride(out),
                      .palette = fill.palette->view.buf,
                      .alpha = fill.fixed,
                      .line_palette = lines ? line.palette->view.buf : NULL,
                      .line_alpha = line.fixed};
  if (from_logits) {
    set_logits(&job, source);
    if (!set_window(&self, window, &job)) goto done;
  } else {
    job.labels = source->view.buf;
  }
  if (take_counts(&self, counts, regions, &job)) result = paint(isa, &job, (size_t)threads);
done:
  release(&self);
  return result;
}

static PyObject *py_upsample_overlay(PyObject *module, PyObject *args) {
  PyObject *o[7] = {NULL}, *mask, *window = NULL, *counts = NULL, *regions = NULL;
  const char *isa_name = NULL, *about[2] = {"bgr", "bt601"};
  Py_ssize_t threads = 0;
  int full_range = 0;
  if (!PyArg_ParseTuple(args, "OOOOOO|znOOOOOssp:upsample_overlay", &o[0], &o[1], &o[2], &o[3], &o[4], &mask, &isa_name,
                        &threads, &o[5], &o[6], &window, &counts, &regions, &about[0], &about[1], &full_range)) {
    return NULL;
  }
  return paint_overlay(module, "upsample_overlay", o, mask, window, counts, regions, isa_name, threads, about, full_range,
                       true);
}

static PyObject *py_blend(PyObject *module, PyObject *args) {
  PyObject *o[7] = {NULL}, *counts = NULL, *regions = NULL;
  const char *isa_name = NULL, *about[2] = {"bgr", "bt601"};
  Py_ssize_t threads = 0;
  int full_range = 0;
  if (!PyArg_ParseTuple(args, "OOOOO|znOOOOssp:blend", &o[0], &o[1], &o[2], &o[3], &o[4], &isa_name, &threads, &o[5], &o[6],
                        &counts, &regions, &about[0], &about[1], &full_range)) {
    return NULL;
  }
  return paint_overlay(module, "blend", o, Py_None, NULL, counts, regions, isa_name, threads, about, full_range, false);
}

static PyObject *py_threads(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromSize_t(se_threads());
}

static PyObject *py_set_threads(PyObject *module, PyObject *args) {
  (void)module;
  Py_ssize_t threads;
  if (!PyArg_ParseTuple(args, "n:set_threads", &threads)) return NULL;
  if (!thread_count(&(call){.function = "set_threads"}, threads)) return NULL;
  se_set_threads((size_t)threads);
  return Py_NewRef(Py_None);
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

static PyObject *py_known_isas(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return names(se_isa_known);
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
    {"resize", py_resize, METH_VARARGS,
     "resize(frame, out, rule, isa=None, threads=0, pixel_format='bgr', matrix='bt601', full_range=False)"},
    {"upsample_argmax", py_upsample_argmax, METH_VARARGS,
     "upsample_argmax(logits_chw, out, isa=None, threads=0, window=None, counts=None, regions=None)"},
    {"upsample_overlay", py_upsample_overlay, METH_VARARGS,
     "upsample_overlay(logits_chw, frame_bgr, palette_bgr, alpha, out, mask_out, isa=None, threads=0, line_palette=None, "
     "line_alpha=None, window=None, counts=None, regions=None, "
     "pixel_format='bgr', matrix='bt601', full_range=False)"},
    {"blend", py_blend, METH_VARARGS,
     "blend(mask, frame_bgr, palette_bgr, alpha, out, isa=None, threads=0, line_palette=None, line_alpha=None, counts=None, "
     "regions=None, pixel_format='bgr', matrix='bt601', full_range=False)"},
    {"backdrop", py_backdrop, METH_VARARGS,
     "backdrop(frame, front, ground_bgr, steep, out, isa=None, threads=0, pixel_format='bgr', matrix='bt601', "
     "full_range=False)"},
    {"confidence", py_confidence, METH_VARARGS,
     "confidence(logits_chw, out, measure, scale, mask, threshold, below, isa=None, threads=0, window=None)"},
    {"count", py_count, METH_VARARGS,
     "count(source, size_hw, counts, from_logits, isa=None, threads=0, window=None, regions=None)"},
    {"square_differences", py_square_differences, METH_VARARGS, "square_differences(a, b, out, isa=None)"},
    {"regions", py_regions, METH_VARARGS, "regions(rows, ends, ids, count, width)"},
    {"coco_rle", py_coco_rle, METH_O, "coco_rle(mask)"},
    {"threads", py_threads, METH_NOARGS, "threads()"},
    {"set_threads", py_set_threads, METH_VARARGS, "set_threads(threads)"},
    {"isa", py_isa, METH_NOARGS, "isa()"},
    {"available_isas", py_available_isas, METH_NOARGS, "available_isas()"},
    {"known_isas", py_known_isas, METH_NOARGS, "known_isas()"},
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
    .m_doc = "Bindings of segedge.h; use seg_edge.runtime.frame.kernels.",
    .m_size = sizeof(module_state),
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__kernels(void) {
  return PyModuleDef_Init(&definition);
}
