/* Private: one pool of threads for the process. It knows nothing of images. */
#ifndef SE_POOL_H
#define SE_POOL_H

#include <stddef.h>

/* One piece of a job. `slot` is 0 .. threads - 1, and no two pieces run in one slot at once: it picks a scratch. */
typedef void (*se_piece)(void *context, size_t piece, size_t slot);

/* Runs all pieces and returns when the last one is done; the caller's thread works too. Fewer threads may take part. */
void se_pool_run(se_piece run, void *context, size_t pieces, size_t threads);

#endif
