/* regions: a division of the image, checked once; and the counts of a call. */
#include "binding_args.h"
#include <string.h>

static const char *const CAPSULE = "seg_edge.runtime._kernels.regions";
static const rule counts_rule = {"counts", "uint64", "(R, 256)", 2, false, false, OUTPUT};

/* Behind a capsule: its arrays follow in the same block. */
typedef struct {
  se_regions regions;
  size_t h, w;
} division;

static void end_division(PyObject *capsule) {
  free(PyCapsule_GetPointer(capsule, CAPSULE));
}

/* Whether the runs are as segedge.h states; they are `runs` in all. */
static bool valid(const division *d, size_t runs) {
  const se_regions *r = &d->regions;
  if (r->rows[0] != 0 || r->rows[d->h] != runs) return false;
  for (size_t y = 0; y < d->h; y++) {
    if (r->rows[y + 1] <= r->rows[y] || r->rows[y + 1] > runs) return false;
    for (size_t i = r->rows[y], before = 0; i < r->rows[y + 1]; before = r->ends[i++]) {
      if (r->ends[i] <= before || r->ends[i] > d->w || r->ids[i] >= r->count) return false;
    }
    if (r->ends[r->rows[y + 1] - 1] != d->w) return false;
  }
  return true;
}

PyObject *py_regions(PyObject *module, PyObject *args) {
  (void)module;
  Py_buffer rows, ends, ids;
  Py_ssize_t count, w;
  if (!PyArg_ParseTuple(args, "y*y*y*nn:regions", &rows, &ends, &ids, &count, &w)) return NULL;
  const size_t h = (size_t)rows.len / sizeof(uint32_t) - 1, runs = (size_t)ends.len / sizeof(uint32_t);
  division *d = NULL;
  PyObject *result = NULL;
  if ((size_t)rows.len < 2 * sizeof(uint32_t) || h > SE_MAX_SIDE || w < 1 || w > SE_MAX_SIDE || count < 1 ||
      count > SE_MAX_REGIONS || (size_t)ids.len / sizeof(uint16_t) != runs) {
    PyErr_Format(
        PyExc_ValueError,
        "regions: rows must be uint32 (H + 1,), ends uint32 (N,), ids uint16 (N,), with sides of 1 to 16384 and 1 to "
        "%d regions, got %zd, %zd and %zd bytes, %zd regions and a width of %zd; use zones.Division",
        SE_MAX_REGIONS, rows.len, ends.len, ids.len, count, w);
    goto done;
  }
  d = malloc(sizeof *d + (size_t)rows.len + (size_t)ends.len + (size_t)ids.len);
  if (!d) {
    PyErr_NoMemory();
    goto done;
  }
  unsigned char *memory = (unsigned char *)(d + 1);
  *d = (division){.regions = {.count = (size_t)count}, .h = h, .w = (size_t)w};
  d->regions.rows = memcpy(memory, rows.buf, (size_t)rows.len);
  d->regions.ends = memcpy(memory + rows.len, ends.buf, (size_t)ends.len);
  d->regions.ids = memcpy(memory + rows.len + ends.len, ids.buf, (size_t)ids.len);
  if (!valid(d, runs)) {
    PyErr_SetString(PyExc_ValueError,
                    "regions: every row must have runs whose ends ascend to the width, and whose ids lie below "
                    "the number of regions, got others; use zones.Division");
    goto done;
  }
  result = PyCapsule_New(d, CAPSULE, end_division);
done:
  if (!result) free(d);
  PyBuffer_Release(&rows);
  PyBuffer_Release(&ends);
  PyBuffer_Release(&ids);
  return result;
}

bool take_counts(call *self, PyObject *counts, PyObject *regions, se_paint_job *job) {
  if (!counts || counts == Py_None) return true;
  const division *d = NULL;
  if (regions && regions != Py_None) {
    d = PyCapsule_GetPointer(regions, CAPSULE);
    if (!d) return false;
    if (d->h != job->dst_h || d->w != job->dst_w) {
      PyErr_Format(PyExc_ValueError, "%s: regions must be of the image's size (%zu, %zu), got (%zu, %zu); make them for it",
                   self->function, job->dst_h, job->dst_w, d->h, d->w);
      return false;
    }
    job->regions = &d->regions;
  }
  const array *a = &self->arrays[self->count];
  if (!take(self, counts, &counts_rule)) return false;
  if (side(a, 0) != (d ? d->regions.count : 1) || side(a, 1) != 256) {
    return refuse(self, a, PyExc_ValueError, " with R = 1, or the number of regions", "use np.zeros");
  }
  job->counts = a->view.buf;
  return true;
}
