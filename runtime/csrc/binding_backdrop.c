/* backdrop: a frame's front on another background. */
#include "binding_args.h"

static const rule front_rule = {"front", "uint8", "(h, w)", 2, false, false, INPUT};
static const rule ground_rule = {"ground_bgr", "uint8", "(h, w, 3)", 3, true, true, INPUT};
static const rule out_rule = {"out", "uint8", "(H, W, 3)", 3, true, true, OUTPUT};

static bool steep_enough(const call *self, Py_ssize_t steep) {
  if (steep >= 1 && steep <= SE_MAX_STEEP) return true;
  PyErr_Format(PyExc_ValueError, "%s: steep must be 1 to %d, got %zd; use 8", self->function, SE_MAX_STEEP, steep);
  return false;
}

static PyObject *run(const se_kernels *isa, const se_backdrop_job *job, size_t threads) {
  void *workspace = malloc(se_backdrop_workspace(job, threads));
  if (!workspace) return PyErr_NoMemory();
  Py_BEGIN_ALLOW_THREADS;
  se_backdrop_image(isa, job, threads, workspace);
  Py_END_ALLOW_THREADS;
  free(workspace);
  return Py_NewRef(Py_None);
}

PyObject *py_backdrop(PyObject *module, PyObject *args) {
  PyObject *frame_object, *front_object, *ground_object, *out_object, *result = NULL;
  const char *isa_name = NULL, *format = "bgr", *matrix = "bt601";
  Py_ssize_t steep, threads = 0;
  int full_range = 0;
  if (!PyArg_ParseTuple(args, "OOOnO|znssp:backdrop", &frame_object, &front_object, &ground_object, &steep, &out_object,
                        &isa_name, &threads, &format, &matrix, &full_range)) {
    return NULL;
  }
  call self = {.function = "backdrop"};
  se_frame frame;
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  if (isa && thread_count(&self, threads) && steep_enough(&self, steep) &&
      take_frame(&self, frame_object, format, matrix, full_range, &frame)) {
    const size_t inputs = self.count + 2;
    const array *front = &self.arrays[self.count], *ground = front + 1, *out = front + 2;
    bool fits = take(&self, front_object, &front_rule) && take(&self, ground_object, &ground_rule) &&
                take(&self, out_object, &out_rule) && sized(&self, out, frame.h, frame.w, "the frame");
    for (size_t i = 0; fits && i < inputs; i++) fits = disjoint(&self, out, &self.arrays[i], "pass another array");
    if (fits) {
      const se_backdrop_job job = {.frame = &frame,
                                   .front = front->view.buf,
                                   .front_h = side(front, 0),
                                   .front_w = side(front, 1),
                                   .steep = (unsigned)steep,
                                   .ground = ground->view.buf,
                                   .ground_h = side(ground, 0),
                                   .ground_w = side(ground, 1),
                                   .ground_stride = stride(ground),
                                   .out = out->view.buf,
                                   .out_stride = stride(out)};
      result = run(isa, &job, (size_t)threads);
    }
  }
  release(&self);
  return result;
}
