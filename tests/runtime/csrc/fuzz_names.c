/* The entries without pixels: instruction sets by name and number, the number of threads. */
#include "fuzz_input.h"

static size_t fuzz_number(fuzz_input *in) {
  size_t number = 0;
  for (uint8_t bytes = fuzz_byte(in) % (sizeof number + 1); bytes; bytes--) number = number << 8 | fuzz_byte(in);
  return number;
}

/* The rest of the input as a string. */
static char *fuzz_text(fuzz_input *in) {
  const size_t length = in->size - in->at;
  char *text = fuzz_block(length + 1);
  if (length) memcpy(text, in->data + in->at, length);
  text[length] = 0;
  return text;
}

static bool listed(const char *(*list)(size_t), const char *name) {
  for (size_t i = 0; list(i); i++) {
    if (strcmp(list(i), name) == 0) return true;
  }
  return false;
}

static size_t count(const char *(*list)(size_t)) {
  size_t n = 0;
  while (list(n)) n++;
  return n;
}

void fuzz_isas(fuzz_input in) {
  const size_t i = fuzz_number(&in), available = count(se_isa_available), known = count(se_isa_known);
  FUZZ_CHECK((se_isa_available(i) != NULL) == (i < available), "%zu of %zu", i, available);
  FUZZ_CHECK((se_isa_known(i) != NULL) == (i < known), "%zu of %zu", i, known);
  FUZZ_CHECK(strcmp(se_isa_available(0), "scalar") == 0, "%s", se_isa_available(0));
  for (size_t k = 0; k < available; k++) FUZZ_CHECK(listed(se_isa_known, se_isa_available(k)), "%zu", k);
  const char *fastest = se_isa_name(se_kernels_get(NULL));
  FUZZ_CHECK(strcmp(fastest, se_isa_available(available - 1)) == 0, "%s", fastest);
  char *name = fuzz_text(&in);
  const se_kernels *isa = se_kernels_get(name);
  FUZZ_CHECK((isa != NULL) == listed(se_isa_available, name), "%s", name);
  if (isa) FUZZ_CHECK(strcmp(se_isa_name(isa), name) == 0, "%s", name);
  free(name);
}

void fuzz_threads(fuzz_input in) {
  const size_t chosen = fuzz_number(&in);
  char *text = fuzz_text(&in);
  setenv("SEG_EDGE_THREADS", text, 1);
  se_set_threads(chosen);
  if (chosen)
    FUZZ_CHECK(se_threads() == (chosen < SE_MAX_THREADS ? chosen : SE_MAX_THREADS), "%zu of %zu", se_threads(), chosen);
  se_set_threads(0);
  const size_t threads = se_threads();
  FUZZ_CHECK(threads >= 1 && threads <= SE_MAX_THREADS, "%zu", threads);
  const long wish = strtol(text, NULL, 10);
  if (wish > 0) FUZZ_CHECK(threads == (wish < SE_MAX_THREADS ? (size_t)wish : SE_MAX_THREADS), "%zu of %s", threads, text);
  unsetenv("SEG_EDGE_THREADS");
  if (wish <= 0) FUZZ_CHECK(threads == se_threads(), "%zu, but %zu without \"%s\"", threads, se_threads(), text);
  free(text);
}
