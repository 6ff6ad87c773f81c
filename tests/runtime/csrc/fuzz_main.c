/* libFuzzer's way in; the build sets FUZZ_ENTRY to one of FUZZ_ENTRIES. */
#include "fuzz_input.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  JOIN(fuzz_, FUZZ_ENTRY)((fuzz_input){.data = data, .size = size});
  return 0;
}
