/* Frames of all formats: what a call's object must be, and what segedge.h then reads. */
#include "binding_args.h"
#include <string.h>

typedef struct {
  const char *name;
  se_frame_format format;
  unsigned bits, low;
} format_row;

/* Deeper samples: libyuv's and FFmpeg's names of planes in little-endian words. */
static const format_row formats[] = {
    {"bgr", SE_FRAME_BGR, 8, 0},    {"nv12", SE_FRAME_NV12, 8, 0},  {"yuyv", SE_FRAME_YUYV, 8, 0},
    {"i420", SE_FRAME_I420, 8, 0},  {"i422", SE_FRAME_I422, 8, 0},  {"i444", SE_FRAME_I444, 8, 0},
    {"i010", SE_FRAME_I420, 10, 0}, {"i210", SE_FRAME_I422, 10, 0}, {"i410", SE_FRAME_I444, 10, 0},
    {"i012", SE_FRAME_I420, 12, 0}, {"i212", SE_FRAME_I422, 12, 0}, {"i412", SE_FRAME_I444, 12, 0},
    {"p010", SE_FRAME_NV12, 10, 6},
};

/* In the order of se_matrix. */
static const char *const matrices[] = {"bt601", "bt709", "bt2020", "smpte240m", "fcc"};

static const rule bgr_rule = {"frame_bgr", "uint8", "(H, W, 3)", 3, true, true, INPUT};
static const rule nv12_rule = {"frame_nv12", "uint8", "(3*H/2, W)", 2, false, true, INPUT};
static const rule yuyv_rule = {"frame_yuyv", "uint8", "(H, W, 2)", 3, false, true, INPUT};
/* Planes of bytes, then of words. */
static const rule y_rule[] = {{"plane_y", "uint8", "(H, W)", 2, false, true, INPUT},
                              {"plane_y", "uint16", "(H, W)", 2, false, true, INPUT}};
static const rule uv_rule[] = {{"plane_uv", "uint8", "(rows, 2*columns)", 2, false, true, INPUT},
                               {"plane_uv", "uint16", "(rows, 2*columns)", 2, false, true, INPUT}};
static const rule u_rule[] = {{"plane_u", "uint8", "(rows, columns)", 2, false, true, INPUT},
                              {"plane_u", "uint16", "(rows, columns)", 2, false, true, INPUT}};
static const rule v_rule[] = {{"plane_v", "uint8", "(rows, columns)", 2, false, true, INPUT},
                              {"plane_v", "uint16", "(rows, columns)", 2, false, true, INPUT}};

static const format_row *find_format(const call *self, const char *name) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    if (strcmp(name, formats[i].name) == 0) return formats + i;
  }
  PyErr_Format(PyExc_ValueError, "%s: pixel_format must be one of PIXEL_FORMATS, got '%s'; use 'bgr'", self->function, name);
  return NULL;
}

static bool set_matrix(const call *self, const char *name, se_frame *frame) {
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
    frame->matrix = (se_matrix)i;
    if (strcmp(name, matrices[i]) == 0) return true;
  }
  PyErr_Format(PyExc_ValueError, "%s: matrix must be one of MATRICES, got '%s'; use 'bt601'", self->function, name);
  return false;
}

/* One array for the whole frame: BGR, YUYV, and NV12 as OpenCV has it (the luma's rows, then half as many of u v). */
static bool take_packed(call *self, PyObject *object, se_frame *frame) {
  const array *a = &self->arrays[self->count];
  const bool nv12 = frame->format == SE_FRAME_NV12, yuyv = frame->format == SE_FRAME_YUYV;
  if (!take(self, object, nv12 ? &nv12_rule : yuyv ? &yuyv_rule : &bgr_rule)) return false;
  frame->h = side(a, 0), frame->w = side(a, 1);
  frame->data = a->view.buf, frame->stride = stride(a);
  if (nv12) {
    if (frame->h % 3 || frame->w % 2) {
      return refuse(self, a, PyExc_ValueError, " with H and W even", "H rows of luma, then H/2 rows of u v");
    }
    frame->h = frame->h / 3 * 2;
    frame->chroma = frame->data + frame->h * frame->stride;
    frame->chroma_stride = frame->stride;
  } else if (yuyv && (side(a, 2) != 2 || frame->w % 2)) {
    return refuse(self, a, PyExc_ValueError, " with W even", "pass an array of that shape");
  }
  return true;
}

/* Words lie at even addresses. */
static bool aligned(const call *self, const array *a) {
  if (a->view.itemsize == 1 || ((uintptr_t)a->view.buf % 2 == 0 && stride(a) % 2 == 0)) return true;
  return refuse(self, a, PyExc_ValueError, " at even addresses", "use np.ascontiguousarray");
}

static bool take_planes(call *self, PyObject *planes, se_frame *frame) {
  const bool two = frame->format == SE_FRAME_NV12, wide = frame->bits > 8;
  const Py_ssize_t count = two ? 2 : 3;
  if (!PyTuple_Check(planes) || PyTuple_Size(planes) != count) {
    const char *demand = two ? "a tuple of 2 arrays (y, u v)" : "a tuple of 3 arrays (y, u, v)";
    return refuse_type(self, "a frame of planes", demand, planes, "pass its planes");
  }
  const array *y = &self->arrays[self->count], *u = y + 1, *v = y + 2;
  if (!take(self, PyTuple_GetItem(planes, 0), y_rule + wide) ||
      !take(self, PyTuple_GetItem(planes, 1), (two ? uv_rule : u_rule) + wide) ||
      (!two && !take(self, PyTuple_GetItem(planes, 2), v_rule + wide))) {
    return false;
  }
  frame->h = side(y, 0), frame->w = side(y, 1);
  frame->data = y->view.buf, frame->stride = stride(y);
  frame->chroma = u->view.buf, frame->chroma_stride = stride(u);
  const bool rows_shared = two || frame->format == SE_FRAME_I420, columns_shared = frame->format != SE_FRAME_I444;
  const size_t rows = rows_shared ? (frame->h + 1) / 2 : frame->h;
  const size_t columns = (columns_shared ? (frame->w + 1) / 2 : frame->w) * (two ? 2 : 1);
  if (!sized(self, u, rows, columns, "the luma's chroma") || !aligned(self, y) || !aligned(self, u)) return false;
  if (two) return true;
  frame->chroma_v = v->view.buf;
  if (!sized(self, v, rows, columns, "the luma's chroma") || !aligned(self, v)) return false;
  if (stride(u) == stride(v)) return true;
  return refuse(self, v, PyExc_ValueError, " with rows as far apart as those of plane_u",
                "use np.ascontiguousarray on both");
}

bool take_frame(call *self, PyObject *object, const char *format, const char *matrix, int full_range, se_frame *frame) {
  const format_row *row = find_format(self, format);
  if (!row) return false;
  *frame = (se_frame){.format = row->format, .full_range = full_range, .bits = row->bits, .low = row->low};
  if (!set_matrix(self, matrix, frame)) return false;
  const bool one = row->format == SE_FRAME_BGR || row->format == SE_FRAME_YUYV;
  if (one || (row->format == SE_FRAME_NV12 && row->bits == 8 && !PyTuple_Check(object))) {
    return take_packed(self, object, frame);
  }
  return take_planes(self, object, frame);
}
