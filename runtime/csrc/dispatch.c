/* Which instruction sets this build has and this CPU can run. */
#include "se_kernels.h"
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdatomic.h>

/* __builtin_cpu_supports("f16c") is unknown to older clangs, 14 among them. Asked once: in a virtual machine the instruction
 * traps, which takes as long as a kernel's call. */
static bool has_f16c(void) {
  static atomic_int answer; /* 0: not asked yet */
  int known = atomic_load_explicit(&answer, memory_order_relaxed);
  if (known == 0) {
    unsigned a, b, c, d;
    known = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) ? 1 : -1;
    atomic_store_explicit(&answer, known, memory_order_relaxed);
  }
  return known > 0;
}
#endif

typedef struct {
  const se_kernels *kernels;
  bool runs;
} se_isa;

#define SE_COUNT(isa, runs) +1
enum { ISA_COUNT = 0 SE_ISAS(SE_COUNT) };

static se_isa isa_at(size_t i) {
#define SE_ENTRY(isa, runs) {&se_kernels__##isa, runs},
  const se_isa all[ISA_COUNT] = {SE_ISAS(SE_ENTRY)};
  return all[i];
}

const se_kernels *se_kernels_get(const char *name) {
  const se_kernels *best = NULL;
  for (size_t i = 0; i < ISA_COUNT; i++) {
    const se_isa isa = isa_at(i);
    if (isa.runs && (name == NULL || strcmp(name, isa.kernels->name) == 0)) best = isa.kernels;
  }
  return best;
}

const char *se_isa_available(size_t i) {
  for (size_t k = 0; k < ISA_COUNT; k++) {
    const se_isa isa = isa_at(k);
    if (isa.runs && i-- == 0) return isa.kernels->name;
  }
  return NULL;
}

const char *se_isa_known(size_t i) {
  return i < ISA_COUNT ? isa_at(i).kernels->name : NULL;
}

const char *se_isa_name(const se_kernels *isa) {
  return isa->name;
}
