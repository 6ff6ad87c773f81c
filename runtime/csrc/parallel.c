/* Whole images: the rows in bands over the pool's threads. Every row is computed as it would be alone, so neither the number
 * of threads nor the bands show in the result. */
#include "pool.h"
#include "se_scratch.h"
#include "segedge.h"
#include <stdbool.h>

/* Below this a thread's share is done sooner than the thread is awake (tens of microseconds; a pixel takes about one ns). */
enum { MIN_PIXELS_PER_THREAD = 32768 };
/* Pieces per thread: class borders make some rows dearer than others; who is done early takes another band. */
enum { BANDS_PER_THREAD = 8 };

static size_t use_threads(size_t threads, size_t h, size_t w) {
  if (threads == 0) threads = se_threads();
  if (threads > SE_MAX_THREADS) threads = SE_MAX_THREADS;
  const size_t useful = h * w / MIN_PIXELS_PER_THREAD;
  if (threads > useful) threads = useful;
  if (threads > h) threads = h;
  return threads ? threads : 1;
}

typedef struct {
  const se_kernels *isa;
  size_t h, bands;
  unsigned char *scratch; /* of slot 0 */
  size_t scratch_size;    /* of one slot */
  const se_paint_job *paint;
  const void *tables;
  const se_confidence_map *map;
  const se_backdrop_job *backdrop;
  const se_frame *src;
  uint8_t *dst;
  size_t dst_w, dst_stride;
  se_resize_rule rule;
} image;

static void paint_band(void *context, size_t band, size_t slot) {
  const image *it = context;
  se_paint_rows(it->isa, it->paint, it->tables, band * it->h / it->bands, (band + 1) * it->h / it->bands,
                it->scratch + slot * it->scratch_size);
}

static void confidence_band(void *context, size_t band, size_t slot) {
  const image *it = context;
  se_confidence_rows(it->isa, it->paint, it->map, band * it->h / it->bands, (band + 1) * it->h / it->bands,
                     it->scratch + slot * it->scratch_size);
}

static void backdrop_band(void *context, size_t band, size_t slot) {
  const image *it = context;
  se_backdrop_rows(it->isa, it->backdrop, band * it->h / it->bands, (band + 1) * it->h / it->bands,
                   it->scratch + slot * it->scratch_size);
}

static void resize_band(void *context, size_t band, size_t slot) {
  const image *it = context;
  se_resize(it->isa, it->src, it->dst, it->h, it->dst_w, it->dst_stride, it->rule, band * it->h / it->bands,
            (band + 1) * it->h / it->bands, it->scratch + slot * it->scratch_size);
}

/* Slots lie a cache line apart, so that no line is written by two threads. */
static size_t slot_size(size_t scratch) {
  return (scratch + SE_ALIGN - 1) / SE_ALIGN * SE_ALIGN;
}

size_t se_paint_workspace(const se_paint_job *job, size_t threads) {
  return slot_size(se_paint_tables(job)) + use_threads(threads, job->dst_h, job->dst_w) * slot_size(se_paint_scratch(job));
}

void se_paint(const se_kernels *isa, const se_paint_job *job, size_t threads, void *workspace) {
  threads = use_threads(threads, job->dst_h, job->dst_w);
  image it = {.isa = isa, .paint = job, .h = job->dst_h, .tables = workspace};
  it.bands = threads == 1 ? 1 : threads * BANDS_PER_THREAD < it.h ? threads * BANDS_PER_THREAD : it.h;
  it.scratch = (unsigned char *)workspace + slot_size(se_paint_tables(job));
  it.scratch_size = slot_size(se_paint_scratch(job));
  se_paint_prepare(job, workspace);
  se_pool_run(paint_band, &it, it.bands, threads);
}

size_t se_confidence_workspace(const se_paint_job *job, size_t threads) {
  return use_threads(threads, job->dst_h, job->dst_w) * slot_size(se_confidence_scratch(job));
}

void se_confidence_image(const se_kernels *isa, const se_paint_job *job, const se_confidence_map *map, size_t threads,
                         void *workspace) {
  threads = use_threads(threads, job->dst_h, job->dst_w);
  image it = {.isa = isa, .paint = job, .map = map, .h = job->dst_h, .bands = threads, .scratch = workspace};
  it.scratch_size = slot_size(se_confidence_scratch(job));
  se_pool_run(confidence_band, &it, it.bands, threads);
}

size_t se_backdrop_workspace(const se_backdrop_job *job, size_t threads) {
  return use_threads(threads, job->frame->h, job->frame->w) * slot_size(se_backdrop_scratch(job));
}

void se_backdrop_image(const se_kernels *isa, const se_backdrop_job *job, size_t threads, void *workspace) {
  threads = use_threads(threads, job->frame->h, job->frame->w);
  image it = {.isa = isa, .backdrop = job, .h = job->frame->h, .bands = threads, .scratch = workspace};
  it.scratch_size = slot_size(se_backdrop_scratch(job));
  se_pool_run(backdrop_band, &it, it.bands, threads);
}

size_t se_resize_workspace(const se_frame *src, size_t dst_h, size_t dst_w, se_resize_rule rule, size_t threads) {
  return use_threads(threads, dst_h, dst_w) * slot_size(se_resize_scratch(src, dst_h, dst_w, rule));
}

void se_resize_image(const se_kernels *isa, const se_frame *src, uint8_t *dst, size_t dst_h, size_t dst_w, size_t dst_stride,
                     se_resize_rule rule, size_t threads, void *workspace) {
  threads = use_threads(threads, dst_h, dst_w);
  image it = {.isa = isa, .h = dst_h, .src = src, .dst = dst, .dst_w = dst_w, .dst_stride = dst_stride, .rule = rule};
  it.scratch = workspace;
  it.bands = threads; /* all rows cost the same */
  it.scratch_size = slot_size(se_resize_scratch(src, dst_h, dst_w, rule));
  se_pool_run(resize_band, &it, it.bands, threads);
}
