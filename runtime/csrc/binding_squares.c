/* square_differences: two images -> the sums of their squares' absolute differences. */
#include "binding_args.h"

static const rule a_rule = {"a", "uint8", "(H, W, 3)", 3, true, false, INPUT};
static const rule b_rule = {"b", "uint8", "(H, W, 3)", 3, true, false, INPUT};
static const rule sums_rule = {"out", "uint32", "(rows, columns)", 2, false, false, OUTPUT};

PyObject *py_square_differences(PyObject *module, PyObject *args) {
  PyObject *a_object, *b_object, *out_object, *result = NULL;
  const char *isa_name = NULL;
  if (!PyArg_ParseTuple(args, "OOO|z:square_differences", &a_object, &b_object, &out_object, &isa_name)) return NULL;
  call self = {.function = "square_differences"};
  const array *a = &self.arrays[0], *b = &self.arrays[1], *out = &self.arrays[2];
  const se_kernels *isa = pick_isa(module, &self, isa_name);
  if (isa && take(&self, a_object, &a_rule) && take(&self, b_object, &b_rule) &&
      sized(&self, b, side(a, 0), side(a, 1), "a") && take(&self, out_object, &sums_rule) &&
      sized(&self, out, (side(a, 0) + SE_SQUARE - 1) / SE_SQUARE, (side(a, 1) + SE_SQUARE - 1) / SE_SQUARE,
            "a in squares of 16") &&
      disjoint(&self, out, a, "pass another array") && disjoint(&self, out, b, "pass another array")) {
    Py_BEGIN_ALLOW_THREADS;
    se_square_differences(isa, a->view.buf, b->view.buf, side(a, 0), side(a, 1), out->view.buf);
    Py_END_ALLOW_THREADS;
    result = Py_NewRef(Py_None);
  }
  release(&self);
  return result;
}
