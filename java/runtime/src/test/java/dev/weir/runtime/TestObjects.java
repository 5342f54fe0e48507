package dev.weir.runtime;

import org.opentest4j.TestAbortedException;

/** A device with the bundled model on it, for the tests of one class. */
final class TestObjects implements AutoCloseable {
  final Device device;
  final Model model;

  /** Aborts the test where the processor does not compute in this precision. */
  TestObjects(Precision precision) {
    try {
      device = Device.open(DeviceOptions.cpu().withThreads(1).withPrecision(precision));
    } catch (UnsupportedException e) {
      throw new TestAbortedException(e.getMessage(), e);
    }
    model = Model.load(device, Golden.MODEL, ModelOptions.defaults());
  }

  KvCache cache(long blocks) {
    return KvCache.create(model, KvCacheOptions.ofBlocks(blocks));
  }

  @Override
  public void close() {
    model.close();
    device.close();
  }
}
