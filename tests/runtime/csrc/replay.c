/* The recorded inputs of every entry again, with any compiler: replay FOLDER reads FOLDER/<entry>.hex, an input a line. */
#include "fuzz_input.h"
#include <ctype.h>

enum { LONGEST = 4096 };

static int digit(int letter) {
  FUZZ_CHECK(isxdigit(letter), "'%c' is no hexadecimal digit", letter);
  return letter <= '9' ? letter - '0' : tolower(letter) - 'a' + 10;
}

/* One line to bytes; -1 at the end of the file. */
static long read_line(FILE *file, uint8_t *bytes) {
  char line[2 * LONGEST + 2];
  if (!fgets(line, sizeof line, file)) return -1;
  const size_t letters = strcspn(line, "\n");
  FUZZ_CHECK(letters % 2 == 0 && letters <= 2 * LONGEST, "a line of %zu digits", letters);
  for (size_t i = 0; i < letters / 2; i++) bytes[i] = (uint8_t)(digit(line[2 * i]) << 4 | digit(line[2 * i + 1]));
  return (long)(letters / 2);
}

static size_t replay(const char *folder, const char *name, void (*entry)(fuzz_input)) {
  char path[4096];
  static uint8_t buffer[LONGEST];
  snprintf(path, sizeof path, "%s/%s.hex", folder, name);
  FILE *file = fopen(path, "r");
  FUZZ_CHECK(file, "%s can't be read", path);
  size_t count = 0;
  for (long size; (size = read_line(file, buffer)) >= 0; count++) {
    uint8_t *exact = fuzz_block((size_t)size); /* a sanitizer sees a read past it */
    memcpy(exact, buffer, (size_t)size);
    entry((fuzz_input){.data = exact, .size = (size_t)size});
    free(exact);
  }
  fclose(file);
  FUZZ_CHECK(count, "%s holds no input", path);
  printf("replay: %s: %zu inputs\n", name, count);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: replay FOLDER\n");
    return 2;
  }
#define REPLAY(entry) replay(argv[1], #entry, fuzz_##entry);
  FUZZ_ENTRIES(REPLAY)
  return 0;
}
