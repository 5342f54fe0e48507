package dev.weir.cli;

import dev.weir.runtime.DeviceInfo;

/** A device on one line. */
final class DeviceText {
  private DeviceText() {}

  static String of(DeviceInfo device) {
    return DeviceName.of(device.kind())
        + ": "
        + device.name()
        + ", "
        + PrecisionName.of(device.precision())
        + ", "
        + device.threads()
        + (device.threads() == 1 ? " thread" : " threads")
        + ", matrices by "
        + device.matmul();
  }
}
