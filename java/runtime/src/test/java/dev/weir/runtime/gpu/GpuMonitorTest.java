package dev.weir.runtime.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GpuMonitorTest {
  private final FakeNvml nvml =
      new FakeNvml()
          .with("second for CUDA", "0000:a8:00.0")
          .with("first for CUDA", "0000:17:00.0")
          .with("in another domain", "0001:17:00.0");

  @ParameterizedTest
  @CsvSource({
    "0000:17:00.0, first for CUDA",
    "0000:A8:00.0, second for CUDA",
    "00000000:a8:00.0, second for CUDA",
    "0001:17:00.0, in another domain",
  })
  void aCudaDeviceIsFoundByItsPlace(String pciBusId, String name) throws Exception {
    try (GpuMonitor monitor = new GpuMonitor(nvml)) {
      assertThat(monitor.find(pciBusId))
          .hasValueSatisfying(gpu -> assertThat(gpu.name()).isEqualTo(name));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "0000:18:00.0", "0002:17:00.0", "17", "first for CUDA", "0000:17:01.0"})
  void anotherPlaceIsNotFound(String pciBusId) throws Exception {
    try (GpuMonitor monitor = new GpuMonitor(nvml)) {
      assertThat(monitor.find(pciBusId)).isEmpty();
    }
  }

  @Test
  void readsTheGpuThatIsAskedFor() throws Exception {
    try (GpuMonitor monitor = new GpuMonitor(nvml)) {
      assertThat(monitor.gpus()).hasSize(3);
      assertThat(monitor.read(monitor.gpus().get(2)).memoryUsed()).isEqualTo(2);
      assertThatExceptionOfType(GpuMonitorException.class)
          .isThrownBy(() -> monitor.read(new Gpu(9, "gone", "0000:99:00.0", 0)))
          .withMessage("GPU 9 is lost");
    }
  }

  @Test
  void aClosedMonitorAsksNobody() throws Exception {
    GpuMonitor monitor = new GpuMonitor(nvml);
    monitor.close();
    monitor.close();
    assertThat(nvml.shutDown).isTrue();
    assertThatExceptionOfType(GpuMonitorException.class)
        .isThrownBy(() -> monitor.read(monitor.gpus().getFirst()))
        .withMessageContaining("closed");
    assertThat(nvml.readings).isZero();
  }

  @Test
  void theDriverHasToServeCuda13() throws Exception {
    assertThat(new GpuMonitor(nvml).driverTooOld()).isEmpty();
    assertThat(new GpuMonitor(nvml).cudaVersion()).isEqualTo("13.1");
    nvml.cudaVersion = 12_090;
    assertThat(new GpuMonitor(nvml).driverTooOld())
        .hasValueSatisfying(
            text -> assertThat(text).contains("590.10 serves CUDA 12.9", "13.0 is needed"));
  }
}
