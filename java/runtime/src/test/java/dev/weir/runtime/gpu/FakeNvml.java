package dev.weir.runtime.gpu;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** A driver with as many GPUs as a test adds. */
final class FakeNvml implements Nvml {
  final List<Gpu> gpus = new ArrayList<>();
  int cudaVersion = 13_010;
  int readings;
  boolean shutDown;

  FakeNvml with(String name, String pciBusId) {
    gpus.add(new Gpu(gpus.size(), name, pciBusId, 1000));
    return this;
  }

  @Override
  public String driverVersion() {
    return "590.10";
  }

  @Override
  public int cudaVersion() {
    return cudaVersion;
  }

  @Override
  public int count() {
    return gpus.size();
  }

  @Override
  public Gpu gpu(int index) {
    return gpus.get(index);
  }

  @Override
  public GpuReading read(int index) throws GpuMonitorException {
    readings++;
    if (index >= gpus.size()) {
      throw new GpuMonitorException("GPU " + index + " is lost");
    }
    return new GpuReading(
        readings,
        1000,
        index,
        OptionalInt.empty(),
        OptionalInt.empty(),
        OptionalDouble.empty(),
        OptionalDouble.empty(),
        OptionalInt.empty(),
        OptionalInt.empty(),
        OptionalInt.empty());
  }

  @Override
  public void shutDown() {
    shutDown = true;
  }
}
