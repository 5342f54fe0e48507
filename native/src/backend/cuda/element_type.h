// Types of the elements that kernels read and write.
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "weir.h"

namespace weir::cuda {

enum class ElementType : int32_t { kF32, kF16, kBf16, kInt8, kFp8 };

WEIR_HOST_DEVICE constexpr int32_t bytes_of(ElementType type) {
  switch (type) {
    case ElementType::kF32:
      return 4;
    case ElementType::kF16:
    case ElementType::kBf16:
      return 2;
    case ElementType::kInt8:
    case ElementType::kFp8:
      return 1;
  }
  return 0;
}

// Not for WEIR_PRECISION_DEFAULT.
constexpr ElementType element_type_of(weir_precision precision) {
  switch (precision) {
    case WEIR_PRECISION_FP16:
      return ElementType::kF16;
    case WEIR_PRECISION_BF16:
      return ElementType::kBf16;
    case WEIR_PRECISION_INT8:
      return ElementType::kInt8;
    case WEIR_PRECISION_FP8:
      return ElementType::kFp8;
    default:
      return ElementType::kF32;
  }
}

}  // namespace weir::cuda
