/* se_square_differences: every instruction set against the definition in segedge.h, pixel by pixel. */
#include "fuzz_input.h"

enum { MOST = 1 << 13 };

void fuzz_squares(fuzz_input in) {
  size_t h = fuzz_side(&in), w = fuzz_side(&in);
  fuzz_fit(&h, &w, MOST);
  uint8_t *a = fuzz_bytes(&in, 3 * h * w), *b = fuzz_bytes(&in, 3 * h * w);
  const size_t rows = (h + 15) / 16, columns = (w + 15) / 16, size = rows * columns * sizeof(uint32_t);
  uint32_t *expected = memset(fuzz_block(size), 0, size);
  for (size_t i = 0; i < 3 * h * w; i++) {
    const size_t y = i / 3 / w, x = i / 3 % w;
    expected[y / 16 * columns + x / 16] += (uint32_t)abs(a[i] - b[i]);
  }
  for (size_t i = 0; se_isa_available(i); i++) {
    const se_kernels *isa = se_kernels_get(se_isa_available(i));
    uint32_t *sums = memset(fuzz_block(size), 0xa5, size);
    se_square_differences(isa, a, b, h, w, sums);
    for (size_t k = 0; k < rows * columns; k++) {
      FUZZ_CHECK(sums[k] == expected[k], "%s: square %zu of (%zu, %zu) is %u, not %u", se_isa_name(isa), k, h, w, sums[k],
                 expected[k]);
    }
    free(sums);
  }
  free(expected);
  free(a);
  free(b);
}
