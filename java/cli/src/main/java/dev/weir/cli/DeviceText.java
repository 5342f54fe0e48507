package dev.weir.cli;

import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;

/** A device on one line. */
final class DeviceText {
  private DeviceText() {}

  static String of(DeviceInfo device) {
    return DeviceName.of(device) + ": " + describe(device);
  }

  /** Without the name of the device. */
  static String describe(DeviceInfo device) {
    return device.name()
        + ", "
        + PrecisionName.of(device.precision())
        + ", "
        + (device.kind() == DeviceKind.CUDA
            ? device.multiprocessors()
                + " multiprocessors of compute capability "
                + device.computeCapability() / 10
                + "."
                + device.computeCapability() % 10
                + ", PCI "
                + device.pciBusId()
            : device.threads() + (device.threads() == 1 ? " thread" : " threads"))
        + ", matrices by "
        + device.matmul();
  }
}
