#include "abi/objects.h"

namespace weir::abi {

HandleTable<weir_device, DeviceObject, 1>& devices() {
  static auto* const table = new HandleTable<weir_device, DeviceObject, 1>("device");
  return *table;
}

HandleTable<weir_model, ModelObject, 2>& models() {
  static auto* const table = new HandleTable<weir_model, ModelObject, 2>("model");
  return *table;
}

HandleTable<weir_cache, CacheObject, 3>& caches() {
  static auto* const table = new HandleTable<weir_cache, CacheObject, 3>("cache");
  return *table;
}

HandleTable<weir_step, StepObject, 4>& steps() {
  static auto* const table = new HandleTable<weir_step, StepObject, 4>("step");
  return *table;
}

}  // namespace weir::abi
