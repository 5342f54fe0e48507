// The operators of the CUDA backend against the ceilings of the device.
#pragma once

#include <functional>

#include "backend/backend.h"
#include "options.h"
#include "results.h"

namespace weir::benchmark {

// Measures what `options` ask for with the shapes of Llama-2-7B, and decode attention with TinyLlama's as
// well. `expired` says when no further point is to be begun.
void measure_operators(Backend& backend, const Ceilings& ceilings, const Options& options,
                       const std::function<bool()>& expired, Report& report);

}  // namespace weir::benchmark
