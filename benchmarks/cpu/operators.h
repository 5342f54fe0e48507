// The operators of a backend at the shapes of a model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "machine.h"
#include "measure.h"

namespace weir::benchmark {

struct Model {
  std::string name;
  int32_t hidden, intermediate, heads, kv_heads, head_size, vocabulary;
};
const std::vector<Model>& models();

struct Selection {
  std::vector<int64_t> rows;
  std::vector<int64_t> contexts;
  std::vector<std::string> operators;  // beginnings of their names; empty: all
  int rounds = 9;
};

// Measures them one after another and hands over each result as it comes. An operator whose data do not fit
// into the memory is left out, and `skipped` told.
void measure_operators(Machine& machine, Backend& backend, const std::string& precision, const Model& model,
                       const Selection& selection, const std::function<void(const Result&)>& measured,
                       const std::function<void(const std::string&)>& skipped);

}  // namespace weir::benchmark
