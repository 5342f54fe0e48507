// Whole steps of Llama-2-7B with random weights, through weir.h as the engine calls it, against the ceilings
// of the device; swap beside them; and the memory that was taken against what weir_plan_memory said.
#pragma once

#include <functional>

#include "options.h"
#include "results.h"

namespace weir::benchmark {

// Throws std::runtime_error if the device, the model or the cache cannot be had.
void measure_steps(const Ceilings& ceilings, const Options& options, const std::function<bool()>& expired,
                   Report& report);

}  // namespace weir::benchmark
