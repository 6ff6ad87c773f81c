/* The kernels' C API: resize a frame, turn logits into a mask or an overlay or a map of how sure they are, blend a mask over
 * a frame, list a mask's runs.
 *
 * The kernels are pure: no allocation, no printing, no global state; they may run in many threads at once. Each computes
 * the output rows y0 <= y < y1 only, so that a pool can split one image; give every concurrent call a scratch of its own.
 * At the end of this file: the same for whole images, split over a pool's threads.
 * Every instruction set returns the same bytes as "scalar".
 *
 * Sides (heights and widths) lie in 1..SE_MAX_SIDE, else behaviour is undefined. Strides count bytes between rows. Buffers
 * do not overlap, except that an overlay may be its own frame.
 */
#ifndef SEGEDGE_H
#define SEGEDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SE_VERSION "0.1.0"

#ifdef SE_BUILD_SHARED
#define SE_API __attribute__((visibility("default")))
#else
#define SE_API
#endif

/* Keeps every product of a side, a side and a 14-bit weight inside int32, and every buffer size inside a 32-bit size_t. */
#define SE_MAX_SIDE 16384
#define SE_MAX_CLASSES 256

typedef struct se_kernels se_kernels; /* one instruction set */

typedef enum { SE_RESIZE_BILINEAR = 0, SE_RESIZE_AREA = 1 } se_resize_rule;

/* name: NULL for the fastest set that this CPU has; returns NULL for a name that is unknown or that this CPU can't run. */
SE_API const se_kernels *se_kernels_get(const char *name);
/* Names of the sets this CPU can run, slowest first, i = 0, 1, …; NULL past the end. */
SE_API const char *se_isa_available(size_t i);
/* Names of all sets in this build; NULL past the end. */
SE_API const char *se_isa_known(size_t i);
SE_API const char *se_isa_name(const se_kernels *isa);

/* What a frame's bytes mean; its sides are h and w, its rows `stride` bytes apart.
 * BGR: (h, w, 3), or any other order of three channels.
 * NV12: `data` is luma, (h, w); `chroma` is (ceil(h/2), ceil(w/2), 2) u v, chroma_stride bytes apart.
 * YUYV: (h, w/2, 4) y u y v; w is even.
 * I420, I422, I444: `data` is luma, (h, w); `chroma` is u and `chroma_v` is v, both with rows chroma_stride bytes apart:
 * (ceil(h/2), ceil(w/2)), (h, ceil(w/2)), (h, w). */
typedef enum {
  SE_FRAME_BGR = 0,
  SE_FRAME_NV12 = 1,
  SE_FRAME_YUYV = 2,
  SE_FRAME_I420 = 3,
  SE_FRAME_I422 = 4,
  SE_FRAME_I444 = 5
} se_frame_format;

/* How luma and colour differences follow from R, G, B: weights (Kr, Kb) of .299 .114, .2126 .0722, .2627 .0593 (non-constant
 * luminance), .212 .087, .30 .11. */
typedef enum {
  SE_MATRIX_BT601 = 0,
  SE_MATRIX_BT709 = 1,
  SE_MATRIX_BT2020 = 2,
  SE_MATRIX_SMPTE240M = 3,
  SE_MATRIX_FCC = 4
} se_matrix;

/* All but BGR have a matrix and a range: limited (of 8 bits: luma 16..235, chroma 16..240), or full with full_range != 0
 * (0..255). NV12 and the planar formats may have samples of `bits` 9..14 in words of the machine's byte order (0 is 8, in
 * bytes), and `low` unused bits below them: P010 is NV12 with bits = 10, low = 6. Bits above a sample are ignored. Words lie
 * at even addresses. */
typedef struct {
  se_frame_format format;
  size_t h, w;
  const uint8_t *data;
  size_t stride;
  const uint8_t *chroma;
  size_t chroma_stride;
  const uint8_t *chroma_v;
  se_matrix matrix;
  int full_range;
  unsigned bits, low;
} se_frame;

/* Bytes of scratch for se_resize; any alignment. */
SE_API size_t se_resize_scratch(const se_frame *src, size_t dst_h, size_t dst_w, se_resize_rule rule);

/* dst: uint8 (dst_h, dst_w, 3), dst_stride >= 3*dst_w; no overlap.
 * BILINEAR: half-pixel centres, edges clamped. AREA: box average where neither side grows, else BILINEAR.
 * Fixed point with 14-bit weights: within 1 grey level of exact arithmetic where neither side shrinks more than 12 times
 * (a box of n pixels has n rounded weights, each wrong by up to 2^-14).
 * Frames that are no BGR are converted first, pixel by pixel, so that the result is that of the converted frame. All pixels
 * that share a sample of chroma get its value. A conversion is within 1 grey level of exact arithmetic (0.55, in fact); with
 * equal sides it is all that is done. */
SE_API void se_resize(const se_kernels *isa, const se_frame *src, uint8_t *dst, size_t dst_h, size_t dst_w,
                      size_t dst_stride, se_resize_rule rule, size_t y0, size_t y1, void *scratch);

/* ---- logits or a mask to a mask, an overlay, counts of pixels, or any of them, in one pass ---- */

/* F16 is IEEE binary16. I8 and U8 are codes of one scale > 0 and one zero point for the whole tensor. Neither changes which
 * class is highest, nor the place where two classes meet: they are not asked for. */
typedef enum { SE_LOGITS_F32 = 0, SE_LOGITS_F16 = 1, SE_LOGITS_I8 = 2, SE_LOGITS_U8 = 3 } se_logits_type;

/* A division of the image for counting: every pixel lies in exactly one of `count` regions, 1..SE_MAX_REGIONS. Row y has the
 * runs rows[y] <= i < rows[y + 1] (at least one); run i ends before pixel ends[i] (ascending from above 0; the row's last is
 * dst_w) and lies in region ids[i] < count. Zones that overlap are a division too: a region for each set of zones. */
#define SE_MAX_REGIONS 4096
typedef struct {
  size_t count;
  const uint32_t *rows; /* dst_h + 1 */
  const uint32_t *ends;
  const uint16_t *ids;
} se_regions;

/* Exactly one of logits and labels is given; top .. of_w are 0 where the logits cover exactly the image. With a letterboxed
 * input they say where in it the image lies: the logits cover of_h x of_w pixels, the image view_h x view_w of them from
 * (top, left); all of these are 1..SE_MAX_SIDE, and top + view_h <= of_h, left + view_w <= of_w.
 * The rest: mask, overlay, counts, or any of them. What is not wanted is NULL.
 *
 * logits: type (classes, h, w), contiguous, 1 <= classes <= 256. labels: uint8 (dst_h, dst_w), contiguous.
 * mask: uint8 (dst_h, dst_w), contiguous; with logits only. frame, overlay: uint8 (dst_h, dst_w, 3), strides >= 3*dst_w,
 * overlay == frame (and equal strides) or no overlap. source: instead of frame, one of dst_h x dst_w in any format, which is
 * converted as se_resize does; no overlap. palette: uint8 (classes, 3). alpha: uint16 (classes), 0..256 each.
 *
 * A pixel's class is the one with the highest logit, interpolated bilinearly (half-pixel centres, edges clamped). Ties go to
 * the lowest class; NaN counts as minus infinity.
 * A pixel whose four surrounding logits (corners) have one and the same highest class gets that class without arithmetic.
 * That is exact, ties included: let k be the lowest of the highest classes at each corner. A class above k is nowhere higher
 * than k, so its mean with weights >= 0 isn't either, and a tie is k's; a class below k is lower than k at every corner, so
 * its mean is lower. Rounding keeps the first (each operation is monotonic) and can only make the second equal: the shortcut
 * then says what exact arithmetic says. It is part of the definition: every instruction set, "scalar" too, takes it.
 * Elsewhere: ((wy0*a + wy1*c) * wx0) + ((wy0*b + wy1*d) * wx1) in float32, each operation rounded (a b above c d).
 * (Classes that stay below another one at all corners by more than rounding can make up are not computed: no result
 * differs.)
 *
 * overlay = (frame * (256 - a) + colour * a + 128) >> 8 with the class's colour and alpha; labels >= classes keep the frame.
 * With contours, a pixel one of whose four neighbours has another class takes its class's colour from line_palette and
 * line_alpha (shaped as palette and alpha) instead: a line two pixels wide, one on each side of the border.
 *
 * counts: uint64 (regions, 256), or (1, 256) where regions is NULL; the caller sets them to 0. se_paint_rows adds, to
 * counts[region][class], the number of its rows' pixels; atomically, so calls for other rows may run at the same time. Where
 * neighbours agree, whole runs are added: no second pass over the image, and without mask and overlay none at all. */
typedef struct {
  const void *logits;
  se_logits_type type;
  size_t classes, h, w;
  size_t top, left, view_h, view_w, of_h, of_w;
  const uint8_t *labels;
  size_t dst_h, dst_w;
  uint8_t *mask;
  const uint8_t *frame;
  size_t frame_stride;
  uint8_t *overlay;
  size_t overlay_stride;
  const uint8_t *palette;
  const uint16_t *alpha;
  const uint8_t *line_palette; /* NULL: no contours */
  const uint16_t *line_alpha;
  uint64_t *counts;
  const se_regions *regions;
  const se_frame *source; /* NULL: frame is given */
} se_paint_job;

/* Tables that every row needs: written once by se_paint_prepare, then read by any number of threads. Any alignment. */
SE_API size_t se_paint_tables(const se_paint_job *job);
SE_API void se_paint_prepare(const se_paint_job *job, void *tables);

/* Bytes of scratch for se_paint_rows; any alignment. */
SE_API size_t se_paint_scratch(const se_paint_job *job);
SE_API void se_paint_rows(const se_kernels *isa, const se_paint_job *job, const void *tables, size_t y0, size_t y1,
                          void *scratch);

/* ---- logits to a map of how sure they are ---- */

/* The softmax probability of a pixel's most probable class, or how much the second one's is below it (the margin). */
typedef enum { SE_PROBABILITY = 0, SE_MARGIN = 1 } se_measure;

/* out: uint8 (dst_h, dst_w), contiguous: 255 times the measure, rounded; within 1 of exact arithmetic.
 * scale: of the logits, > 0 and finite: 1 for F32 and F16, the tensor's scale for I8 and U8. (Their zero point cancels out.)
 * Where out is below the threshold, a mask that the job has gets the label `below`. 0: nowhere.
 *
 * Logits are limited to -1e30..1e30 first, NaN to -1e30, then interpolated: wy0 * (wx0*a + wx1*b) + wy1 * (wx0*c + wx1*d) in
 * float32, each operation rounded, with the weights of se_paint_job. With m the highest of a pixel's values v and s the
 * second: probability = 1 / sum of exp(scale * (v - m)) over the classes in ascending order, margin = (1 - exp(scale *
 * (s - m))) / sum; a single class has 1 of both. exp is the polynomial of se_confidence.h, within 3e-6 of the true value. */
typedef struct {
  se_measure measure;
  float scale;
  uint8_t *out;
  uint8_t threshold, below;
} se_confidence_map;

/* The job gives logits, window, sizes and perhaps a mask, which is read and written. Bytes of scratch; any alignment. */
SE_API size_t se_confidence_scratch(const se_paint_job *job);
SE_API void se_confidence_rows(const se_kernels *isa, const se_paint_job *job, const se_confidence_map *map, size_t y0,
                               size_t y1, void *scratch);

/* ---- what stays in front, on another background ----
 *
 * out = (frame * k + ground * (256 - k) + 128) >> 8 with a weight k of each pixel: with v the value of `front` there,
 * k = (v - 128) * steep + 128, cut off to 0..256. 0 is ground, 255 the frame (with steep >= 2), and the larger `steep`, the
 * narrower the border between them.
 *
 * frame: dst_h x dst_w in any format, converted as se_resize does. front: uint8 (front_h, front_w), contiguous. ground:
 * uint8 (ground_h, ground_w, 3), ground_stride >= 3*ground_w. Both are stretched over the frame as se_resize stretches BGR
 * frames with SE_RESIZE_BILINEAR; a ground as large as the frame is taken as it is. out: uint8 (dst_h, dst_w, 3), out_stride
 * >= 3*dst_w; it overlaps none of them. steep: 1..SE_MAX_STEEP. */
#define SE_MAX_STEEP 255
typedef struct {
  const se_frame *frame;
  const uint8_t *front;
  size_t front_h, front_w;
  unsigned steep;
  const uint8_t *ground;
  size_t ground_h, ground_w, ground_stride;
  uint8_t *out;
  size_t out_stride;
} se_backdrop_job;

/* Bytes of scratch for se_backdrop_rows; any alignment. */
SE_API size_t se_backdrop_scratch(const se_backdrop_job *job);
SE_API void se_backdrop_rows(const se_kernels *isa, const se_backdrop_job *job, size_t y0, size_t y1, void *scratch);

/* ---- how much two images differ, square by square ----
 *
 * sums: uint32 (rows, columns) of the squares of SE_SQUARE x SE_SQUARE pixels, rounded up; those at the right and at the
 * bottom may have fewer. Each is the sum of the absolute differences of its bytes. a, b: uint8 (h, w, 3), contiguous. */
#define SE_SQUARE 16
SE_API void se_square_differences(const se_kernels *isa, const uint8_t *a, const uint8_t *b, size_t h, size_t w,
                                  uint32_t *sums);

/* ---- the runs of a mask, and COCO's text of them ----
 *
 * A run is a stretch of equal labels in column order: down column 0, then down column 1, and so on; it may go on from one
 * column to the next. mask: uint8 (h, w), contiguous.
 * 1. se_runs_count returns how many there are, 1..h*w; columns: uint32 (w), any content.
 * 2. se_runs_list, with the columns that 1 left: where each begins (x*h + y, ascending) and its label. starts: uint32
 * (runs); labels: uint8 (runs). The columns are used up.
 * 3. se_runs_coco with out == NULL: the text of label i, as pycocotools writes `counts`, will be out[ends[i-1]] ..
 *    out[ends[i] - 1] (ends[-1] is 0; nothing for a label that does not occur). ends: size_t (256). pixels: h*w.
 * 4. The same call with out, char (ends[255]), and those ends writes the texts; no 0 at their ends. */
SE_API size_t se_runs_count(const uint8_t *mask, size_t h, size_t w, uint32_t *columns);
SE_API void se_runs_list(const uint8_t *mask, size_t h, size_t w, uint32_t *columns, uint32_t *starts, uint8_t *labels);
SE_API void se_runs_coco(const uint32_t *starts, const uint8_t *labels, size_t runs, size_t pixels, size_t *ends, char *out);

/* ---- whole images on several threads (pool.c, parallel.c): the only part with state ----
 *
 * A process has one pool. Its threads start when first needed, sleep between calls, take no signals, are absent after fork
 * (the child starts its own) and never keep a process from ending. Results don't depend on the number of threads. One call
 * at a time has the pool; a call that finds it taken works alone instead of waiting. */
#define SE_MAX_THREADS 64

/* Threads that a call uses which passes 0: the last se_set_threads (0 undoes it), else the environment's SEG_EDGE_THREADS,
 * else the cores that this process may use, at most 4: the work is bound by memory, which a few cores saturate. */
SE_API size_t se_threads(void);
SE_API void se_set_threads(size_t threads);

/* Bytes of workspace for the calls below with the same arguments; any alignment. threads: 0 as above, where se_threads()
 * must not change in between: a program that changes it, or the cores it may use, while it runs passes a number to both. */
SE_API size_t se_paint_workspace(const se_paint_job *job, size_t threads);
SE_API size_t se_confidence_workspace(const se_paint_job *job, size_t threads);
SE_API size_t se_backdrop_workspace(const se_backdrop_job *job, size_t threads);
SE_API size_t se_resize_workspace(const se_frame *src, size_t dst_h, size_t dst_w, se_resize_rule rule, size_t threads);

/* se_paint_prepare and se_paint_rows, se_confidence_rows, se_backdrop_rows, se_resize: all rows. */
SE_API void se_paint(const se_kernels *isa, const se_paint_job *job, size_t threads, void *workspace);
SE_API void se_confidence_image(const se_kernels *isa, const se_paint_job *job, const se_confidence_map *map, size_t threads,
                                void *workspace);
SE_API void se_backdrop_image(const se_kernels *isa, const se_backdrop_job *job, size_t threads, void *workspace);
SE_API void se_resize_image(const se_kernels *isa, const se_frame *src, uint8_t *dst, size_t dst_h, size_t dst_w,
                            size_t dst_stride, se_resize_rule rule, size_t threads, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
