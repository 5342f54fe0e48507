package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BenchmarkModelTest {
  @Test
  void readsTheNamesOfDevices() {
    assertThat(BenchmarkModel.device("cpu").kind()).isEqualTo(DeviceKind.CPU);
    assertThat(BenchmarkModel.device("cpu-reference").kind()).isEqualTo(DeviceKind.CPU_REFERENCE);
    assertThat(BenchmarkModel.device("cuda").ordinal()).isZero();
    assertThat(BenchmarkModel.device("cuda:3").ordinal()).isEqualTo(3);
    assertThat(BenchmarkModel.device("cuda:3").kind()).isEqualTo(DeviceKind.CUDA);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "cuda:", "cuda:x", "CPU"})
  void refusesOtherNames(String name) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> BenchmarkModel.device(name))
        .withMessageContaining("cuda:ORDINAL");
  }

  @Test
  void aDeviceThatIsNotThereSkipsTheBenchmark() {
    assertThatThrownBy(() -> BenchmarkModel.stories260K("cuda:99", Precision.DEFAULT))
        .isInstanceOf(SkippedException.class)
        .hasMessageStartingWith("skipped: ")
        .hasMessageContaining("CUDA")
        .hasNoCause();
  }

  @Test
  void aPrecisionThatTheDeviceLacksSkipsTheBenchmark() {
    assertThatThrownBy(() -> BenchmarkModel.stories260K("cpu-reference", Precision.INT8))
        .isInstanceOf(SkippedException.class);
  }

  @Test
  void memoryThatIsNotThereSkipsTheBenchmark() {
    BenchmarkModel.requireMemory("the weights", 1L << 30, 1L << 30);
    assertThatThrownBy(() -> BenchmarkModel.requireMemory("the weights", 3L << 30, 1L << 30))
        .isInstanceOf(SkippedException.class)
        .hasMessageContaining("the weights would take 3.0 GiB, the device has 1.0 GiB free")
        .hasMessageContaining("-p layers=N");

    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.DEFAULT)) {
      model.requireKvMemory(1);
      assertThatThrownBy(() -> model.requireKvMemory(1L << 40))
          .isInstanceOf(SkippedException.class);
    }
  }
}
