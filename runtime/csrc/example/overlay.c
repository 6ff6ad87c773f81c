/* A frame and a network's logits to an overlay, without Python:
 *
 *   overlay FRAME HEIGHTxWIDTH LOGITS CLASSESxHEIGHTxWIDTH PALETTE OUT.ppm [ALPHA]
 *
 * FRAME: raw BGR bytes. LOGITS: raw float32, class by class. PALETTE: raw BGR bytes, one colour per class. ALPHA: 0 to 1. */
#include <errno.h>
#include <segedge.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *why) {
  fprintf(stderr, "overlay: %s: %s\n", what, why);
  exit(1);
}

/* Exactly `bytes` bytes of a file. */
static void *read_raw(const char *path, size_t bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, strerror(errno));
  unsigned char *data = malloc(bytes ? bytes : 1);
  if (!data) fail(path, "out of memory");
  if (fread(data, 1, bytes, file) != bytes) fail(path, "shorter than the sizes given; check them");
  if (fgetc(file) != EOF) fail(path, "longer than the sizes given; check them");
  fclose(file);
  return data;
}

static void check_side(const char *text, size_t side, size_t largest) {
  if (side < 1 || side > largest) fail(text, "sides must be 1 to 16384, classes 1 to 256");
}

int main(int argc, char **argv) {
  size_t h, w, classes, logits_h, logits_w;
  if (argc < 7 || sscanf(argv[2], "%zux%zu", &h, &w) != 2 ||
      sscanf(argv[4], "%zux%zux%zu", &classes, &logits_h, &logits_w) != 3) {
    fail("usage", "overlay FRAME HEIGHTxWIDTH LOGITS CLASSESxHEIGHTxWIDTH PALETTE OUT.ppm [ALPHA]");
  }
  const size_t sides[] = {h, w, logits_h, logits_w};
  for (size_t i = 0; i < 4; i++) check_side(argv[i < 2 ? 2 : 4], sides[i], SE_MAX_SIDE);
  check_side(argv[4], classes, SE_MAX_CLASSES);
  const double opacity = argc > 7 ? atof(argv[7]) : 0.5;
  if (!(opacity >= 0 && opacity <= 1)) fail("ALPHA", "must be 0 to 1");

  uint8_t *frame = read_raw(argv[1], 3 * h * w), *palette = read_raw(argv[5], 3 * classes);
  float *logits = read_raw(argv[3], classes * logits_h * logits_w * sizeof *logits);
  uint16_t alpha[SE_MAX_CLASSES];
  for (size_t c = 0; c < classes; c++) alpha[c] = (uint16_t)(256 * opacity + 0.5);

  const se_paint_job job = {.logits = logits,
                            .type = SE_LOGITS_F32,
                            .classes = classes,
                            .h = logits_h,
                            .w = logits_w,
                            .dst_h = h,
                            .dst_w = w,
                            .frame = frame,
                            .frame_stride = 3 * w,
                            .overlay = frame,
                            .overlay_stride = 3 * w, /* painted in place */
                            .palette = palette,
                            .alpha = alpha};
  const size_t threads = 0; /* the default */
  void *workspace = malloc(se_paint_workspace(&job, threads));
  if (!workspace) fail("workspace", "out of memory");
  const se_kernels *isa = se_kernels_get(NULL);
  se_paint(isa, &job, threads, workspace);

  FILE *out = fopen(argv[6], "wb");
  if (!out) fail(argv[6], strerror(errno));
  fprintf(out, "P6\n%zu %zu\n255\n", w, h);
  for (size_t i = 0; i < h * w; i++) { /* PPM is RGB */
    const uint8_t rgb[] = {frame[3 * i + 2], frame[3 * i + 1], frame[3 * i]};
    fwrite(rgb, 1, sizeof rgb, out);
  }
  if (fclose(out) != 0) fail(argv[6], strerror(errno));
  printf("%s: %zux%zu, %zu classes, %s, %zu threads\n", argv[6], h, w, classes, se_isa_name(isa), se_threads());
  free(workspace);
  free(logits);
  free(palette);
  free(frame);
  return 0;
}
