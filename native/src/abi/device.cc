#include "abi/guard.h"
#include "abi/objects.h"

using namespace weir;
using namespace weir::abi;

weir_status weir_device_probe(weir_device_kind kind, int32_t ordinal, weir_error* error) {
  return guard(error, [&] { probe_backend(kind, ordinal); });
}

weir_status weir_device_open(const weir_device_options* options, weir_device** device, weir_error* error) {
  return guard(error, [&] {
    weir_device*& out = required(device, "device");
    const weir_device_options checked = optional(options, "options");
    out = devices().insert(std::make_shared<DeviceObject>(DeviceObject{open_backend(checked)}));
  });
}

weir_status weir_device_describe(weir_device* device, weir_device_info* info, weir_error* error) {
  return guard(error, [&] {
    fill_output(info, "info", [&](weir_device_info& out) { devices().find(device)->backend->describe(out); });
  });
}

weir_status weir_device_close(weir_device* device, weir_error* error) {
  return guard(error, [&] { devices().remove(device); });
}
