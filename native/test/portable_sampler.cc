// The sampler once more, under another name and for the processor that the compiler takes for granted, so
// that a test can compare it with the one that was compiled for this processor.
#ifndef WEIR_NO_MULTIVERSION
#define WEIR_NO_MULTIVERSION
#endif
#define sample_row portable_sample_row
#include "../src/backend/cpu/sampler.cc"
