package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.ModelOptions;
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
    BenchmarkModel.requireMemory("the weights", 1L << 30, 1L << 30, "cpu");
    assertThatThrownBy(() -> BenchmarkModel.requireMemory("the weights", 3L << 30, 1L << 30, "cpu"))
        .isInstanceOf(SkippedException.class)
        .hasMessageContaining("the weights would take 3.0 GiB, cpu has 1.0 GiB free")
        .hasMessageContaining("-p layers=N");

    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.DEFAULT)) {
      model.requireKvMemory(1);
      assertThatThrownBy(() -> model.requireKvMemory(1L << 40))
          .isInstanceOf(SkippedException.class);
    }
  }

  @Test
  void countsTheBytesOfLlama2() {
    ModelInfo model = Model.inspect(BenchmarkModel.bundled("llama-2-7b"), ModelOptions.random(1));

    assertThat(model.parameters()).isEqualTo(6_738_415_616L);
    assertThat(BenchmarkModel.weightBytes(model, Precision.FP32)).isEqualTo(26_953_662_464L);
    assertThat(BenchmarkModel.weightBytes(model, Precision.BF16)).isEqualTo(13_476_831_232L);
    assertThat(BenchmarkModel.weightBytes(model, Precision.INT8))
        .isEqualTo(6_738_415_616L + 32_000 * 4_096);
  }
}
