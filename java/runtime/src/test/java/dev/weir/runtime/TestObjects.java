package dev.weir.runtime;

/** A device with the bundled model on it, for the tests of one class. */
final class TestObjects implements AutoCloseable {
  final Device device = Device.open(DeviceOptions.cpu().withThreads(1));
  final Model model = Model.load(device, Golden.MODEL, ModelOptions.defaults());

  KvCache cache(long blocks) {
    return KvCache.create(model, KvCacheOptions.ofBlocks(blocks));
  }

  @Override
  public void close() {
    model.close();
    device.close();
  }
}
