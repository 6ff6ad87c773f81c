/* How much two images differ, square by square: what a gate asks before it asks the network. */
#include "se_kernels.h"
#include <string.h>

void se_square_differences(const se_kernels *isa, const uint8_t *a, const uint8_t *b, size_t h, size_t w, uint32_t *sums) {
  const size_t columns = (w + SE_SQUARE - 1) / SE_SQUARE, rows = (h + SE_SQUARE - 1) / SE_SQUARE;
  memset(sums, 0, rows * columns * sizeof *sums);
  for (size_t y = 0; y < h; y++) {
    isa->u8_u32_sad48(a + y * 3 * w, b + y * 3 * w, 3 * w, sums + y / SE_SQUARE * columns);
  }
}
